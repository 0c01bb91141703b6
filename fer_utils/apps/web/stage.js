// The page's stage: a photo by file, drop or paste, a sample, or the camera; the answer is
// drawn and put into words. Where answers come from, a server or this browser, is for
// whoever calls `open` to say.

import { judged, percent, Picture, sentence } from "./draw.js";
import { Tracker } from "./track.js";

const $ = (id) => document.getElementById(id);
const QUIET = 2500; // ms between two sentences read out while the camera runs
const HIDDEN = ["photo", "video", "view", "rate", "clear"];
export const NOTHING = "Nothing yet: choose a photo or use the camera.";

let colours, picture, ways;
let turn = 0; // goes up with every new photo, camera or clearing: older answers are dropped
let stream = null;
let spoken = 0;
let answered = null; // what was drawn last, to be drawn again with another limit

/**
 * Set the stage up.
 * @param {object} settings `colours` (expression to hex, in the order of the bars),
 *   `abstain_below` (0..1), `model`
 * @param {object} given how to get answers:
 *   `prepare(file)` resolves to what is shown and asked about;
 *   `askPhoto(prepared)` resolves to faces, in pixels of the photo as it is shown;
 *   `askFrame(video)` resolves to `{faces, frame}`, the frame a canvas.
 *   An Error of theirs is shown; one with `wait`, in ms, is waited for while filming.
 */
export function open(settings, given) {
  ways = given;
  colours = settings.colours;
  picture = new Picture(colours);
  $("unsure").value = 100 * settings.abstain_below;
  $("unsure").addEventListener("input", setLimit);
  setLimit();
  for (const id of ["choose", "invitation"]) {
    $(id).addEventListener("click", () => $("file").click());
  }
  $("file").addEventListener("change", () => {
    take($("file").files[0]);
    $("file").value = ""; // so that the same photo can be chosen again
  });
  $("sample").addEventListener("click", () => {
    readSample().catch((error) => say(error.message, "failed"));
  });
  $("camera").addEventListener("click", () => (stream ? clear() : startCamera()));
  $("clear").addEventListener("click", () => {
    clear();
    $("choose").focus();
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", name === "dragover");
      if (name === "drop") take(firstFile(event.dataTransfer));
    });
  }
  document.addEventListener("paste", (event) => take(firstFile(event.clipboardData)));
  $("model").textContent = `Model: ${settings.model}`;
}

const firstFile = (transfer) => [...transfer.files].find((file) => file.size);
const take = (file) => file && readPhoto(file);

/** Say a sentence, for eyes and screen readers; `state`: "busy", "failed" or nothing. */
export function say(text, state = "") {
  document.body.classList.remove("failed", "busy");
  if (state) document.body.classList.add(state);
  if ($("sentence").textContent !== text) $("sentence").textContent = text;
  spoken = Date.now();
}

/** Draw `source` on the canvas, its longest side at most `longest`. */
export function drawSmaller(canvas, source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context;
}

function showFaces(faces, ...where) {
  answered = [faces, ...where];
  picture.show(judged(faces, $("unsure").value / 100), ...where);
}

function tell() {
  say(sentence(picture.faces, colours));
}

/** Name the faces anew, with the limit that the slider says. */
function setLimit() {
  $("limit").textContent = percent($("unsure").value / 100);
  if (!answered) return;
  showFaces(...answered);
  tell();
}

async function readSample() {
  const photo = await fetch("sample.jpg").then((response) => response.blob());
  await readPhoto(photo);
}

async function readPhoto(file) {
  const mine = clear();
  say("Looking for faces …", "busy");
  try {
    const prepared = await ways.prepare(file);
    if (mine !== turn) return;
    const photo = $("photo");
    photo.src = URL.createObjectURL(prepared);
    const visible = await photo.decode().then(() => true, () => false);
    if (mine !== turn) return;
    if (visible) show(photo, photo.naturalWidth / photo.naturalHeight);
    $("clear").hidden = false;
    const faces = await ways.askPhoto(prepared);
    if (mine !== turn) return;
    showFaces(faces, photo, photo.naturalWidth || 1, photo.naturalHeight || 1);
    tell();
  } catch (error) {
    if (mine === turn) say(error.message, "failed");
  }
}

async function startCamera() {
  const mine = clear();
  if (!navigator.mediaDevices) {
    say("The camera works only on a page opened with https, or on this computer.", "failed");
    return;
  }
  say("Waiting for the camera …", "busy");
  try {
    const video = { facingMode: "user", width: { ideal: 1280 } };
    const camera = await navigator.mediaDevices.getUserMedia({ video });
    if (mine !== turn) {
      stop(camera);
      return;
    }
    stream = camera;
    $("video").srcObject = camera;
    await $("video").play();
  } catch (error) {
    if (mine !== turn) return;
    clear();
    say(`The camera cannot be used (${error.message}).`, "failed");
    return;
  }
  $("camera").textContent = "Stop camera";
  show($("video"), $("video").videoWidth / $("video").videoHeight);
  say("Looking for faces …", "busy");
  await follow(mine);
}

/** Ask about the next frame when the answer to the last is drawn: answers set the pace. */
async function follow(mine) {
  const tracker = new Tracker();
  let last = performance.now();
  let rate = 0;
  while (mine === turn) {
    try {
      const { faces, frame } = await ways.askFrame($("video"));
      if (mine !== turn) return;
      const people = tracker.add(performance.now() / 1000, faces);
      showFaces(people, frame, frame.width, frame.height, true);
      if (Date.now() - spoken > QUIET || document.body.classList.contains("busy")) tell();
      const now = performance.now();
      rate = 0.8 * (rate || 1000 / (now - last)) + 200 / (now - last);
      last = now;
      $("rate").textContent = `live · ${rate.toFixed(rate < 10 ? 1 : 0)} frames/s`;
      $("rate").hidden = false;
    } catch (error) {
      if (mine !== turn) return;
      if (!error.wait) say(error.message, "failed");
      await new Promise((done) => setTimeout(done, error.wait || 2000));
    }
    await new Promise(requestAnimationFrame); // rests while the tab is hidden
  }
}

function stop(camera) {
  for (const track of camera.getTracks()) track.stop();
}

function show(element, ratio) {
  $("view").style.setProperty("--ratio", ratio);
  $("invitation").hidden = true;
  $("view").hidden = element.hidden = false;
}

/** Go back to the beginning; return the number of the new turn. */
function clear() {
  if (stream) stop(stream);
  stream = null;
  $("video").srcObject = null;
  URL.revokeObjectURL($("photo").src);
  $("photo").removeAttribute("src");
  $("camera").textContent = "Use camera";
  for (const id of HIDDEN) $(id).hidden = true;
  $("invitation").hidden = false;
  picture.clear();
  answered = null;
  say(NOTHING);
  return ++turn;
}
