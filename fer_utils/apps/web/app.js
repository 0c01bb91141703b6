// The service's page: a photo or camera frames go to /predict, which answers.

import { drawSmaller, open } from "./stage.js";

const LONGEST = 2048; // px; larger photos are made smaller before they travel
const FRAME = 640; // px; the longest side of a camera frame

const settings = await (await fetch("settings")).json();
const canvas = document.createElement("canvas");

/** Resolve to the server's answer; an Error carries the server's own words. */
async function ask(photo) {
  const form = new FormData();
  form.append("file", photo, "photo");
  const response = await fetch("predict", { method: "POST", body: form }).catch(() => {
    throw new Error("The server cannot be reached; is it still running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer.faces;
  const error = new Error(`That did not work: ${answer.detail ?? response.statusText}`);
  error.wait = Number(response.headers.get("Retry-After")) * 1000;
  throw error;
}

/** Draw `source` on the canvas, its longest side at most `longest`; resolve to JPEG. */
function toJpeg(source, width, height, longest) {
  drawSmaller(canvas, source, width, height, longest);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
}

/** Make a large photo smaller; one that the browser cannot read is sent as it is. */
async function shrink(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const { width, height } = bitmap;
  const large = Math.max(width, height) > LONGEST || file.size > settings.max_bytes / 2;
  const smaller = large ? await toJpeg(bitmap, width, height, LONGEST) : file;
  bitmap.close();
  return smaller;
}

async function askFrame(video) {
  const jpeg = await toJpeg(video, video.videoWidth, video.videoHeight, FRAME);
  return { faces: await ask(jpeg), frame: canvas };
}

open(settings, { prepare: shrink, askPhoto: ask, askFrame });
