// The recogniser in a thread of its own, so that the page stays quick while it computes.

import { fromCanvas } from "./pixels.js";
import { Recogniser } from "./recognise.js";

const loaded = Recogniser.load();

/** Answer `{id, rgba, width, height, quick}` with `{id, faces}` or `{id, error}`. */
async function answer({ data: { id, rgba, width, height, quick } }) {
  try {
    const recogniser = await loaded;
    const faces = rgba && (await recogniser.recognise(fromCanvas(rgba, width, height), quick));
    postMessage({ id, faces });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
}

addEventListener("message", answer);
