// The page without a server: photos and camera frames go to a thread of this browser.

import { checked, pixelsOf, read } from "./photo.js";
import { drawSmaller, NOTHING, open, say } from "./stage.js";

const MISSING =
  "A part of this page could not be loaded; reload it, or tell whoever runs it.";
const FRAME = 640; // px; the longest side of a camera frame
const canvas = document.createElement("canvas");
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map(); // number of a question -> what to do with its answer
let questions = 0;
let broken = null; // why the thread cannot answer

worker.onmessage = ({ data: { id, faces, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error) reject(new Error(error));
  else resolve(faces);
};
worker.onerror = ({ message }) => {
  // What went wrong inside has a message; a script that is not there has none.
  broken = new Error(message ? "This browser is too old for this page." : MISSING);
  for (const { reject } of waiting.values()) reject(broken);
  waiting.clear();
};

/** Ask the thread about pixels, which go over to it; resolve to faces. */
function ask(pixels = {}, quick = false) {
  if (broken) return Promise.reject(broken);
  return new Promise((resolve, reject) => {
    const id = ++questions;
    waiting.set(id, { resolve, reject });
    const given = pixels.rgba ? [pixels.rgba.buffer] : [];
    worker.postMessage({ id, quick, ...pixels }, given);
  });
}

async function askPhoto(file) {
  const { times, ...pixels } = await pixelsOf(file);
  const faces = await ask(pixels);
  return faces.map((face) => ({ ...face, box: face.box.map((edge) => edge * times) }));
}

async function askFrame(video) {
  const context = drawSmaller(canvas, video, video.videoWidth, video.videoHeight, FRAME);
  return { faces: await ask(read(context), true), frame: canvas };
}

const sentence = document.getElementById("sentence");
const loading = sentence.textContent;

/** Say how the loading ended, unless a photo was chosen meanwhile. */
function ended(text, state) {
  if (sentence.textContent === loading) say(text, state);
}

ask().then(
  () => ended(NOTHING),
  (error) => ended(error.message, "failed"),
);
const settings = await (await fetch("models.json")).json();
const prepare = (file) => checked(file, settings.max_pixels);
open(settings, { prepare, askPhoto, askFrame });
