// The recogniser in a thread of its own, so that the page stays quick while it computes.

import { fromCanvas } from "./pixels.js";
import { Recogniser } from "./recognise.js";

const loaded = Recogniser.load();
let newest = 0;

/** Answer `{id, rgba, width, height, quick}` with `{id, faces}` or `{id, error}`. */
async function answer({ data: { id, rgba, width, height, quick } }) {
  newest = id;
  /** Look whether a newer question came meanwhile; then nobody waits for this one. */
  async function goOn() {
    await new Promise((done) => setTimeout(done));
    return id === newest;
  }
  try {
    const recogniser = await loaded;
    const photo = rgba && fromCanvas(rgba, width, height);
    postMessage({ id, faces: photo && (await recogniser.recognise(photo, { quick, goOn })) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
}

addEventListener("message", answer);
