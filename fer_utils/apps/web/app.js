// The page: a photo or camera frames go to /predict; the answer is drawn and put into words.

import { judged, percent, Picture, sentence } from "./draw.js";

const $ = (id) => document.getElementById(id);
const LONGEST = 2048; // px; larger photos are made smaller before they travel
const FRAME = 640; // px; the longest side of a camera frame
const QUIET = 2500; // ms between two sentences read out while the camera runs
const HIDDEN = ["photo", "video", "view", "rate", "clear"];

const { abstain_below, colours, max_bytes, model } = await (await fetch("settings")).json();
const picture = new Picture(colours);
const canvas = document.createElement("canvas");
let turn = 0; // goes up with every new photo, camera or clearing: older answers are dropped
let stream = null;
let spoken = 0;
let answered = null; // what was drawn last, to be drawn again with another limit

function say(text, state = "") {
  document.body.classList.remove("failed", "busy");
  if (state) document.body.classList.add(state);
  if ($("sentence").textContent !== text) $("sentence").textContent = text;
  spoken = Date.now();
}

/** Resolve to the server's answer; an Error carries the server's own words. */
async function ask(photo) {
  const form = new FormData();
  form.append("file", photo, "photo");
  const response = await fetch("predict", { method: "POST", body: form }).catch(() => {
    throw new Error("The server cannot be reached; is it still running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const error = new Error(`That did not work: ${answer.detail ?? response.statusText}`);
  error.wait = Number(response.headers.get("Retry-After")) * 1000;
  throw error;
}

/** Draw `source` on the canvas, its longest side at most `longest`; resolve to JPEG. */
function toJpeg(source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
}

/** Make a large photo smaller; one that the browser cannot read is sent as it is. */
async function shrink(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const { width, height } = bitmap;
  const large = Math.max(width, height) > LONGEST || file.size > max_bytes / 2;
  const smaller = large ? await toJpeg(bitmap, width, height, LONGEST) : file;
  bitmap.close();
  return smaller;
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
  const sent = await shrink(file);
  const photo = $("photo");
  photo.src = URL.createObjectURL(sent);
  const visible = await photo.decode().then(() => true, () => false);
  if (mine !== turn) return;
  if (visible) show(photo, photo.naturalWidth / photo.naturalHeight);
  $("clear").hidden = false;
  try {
    const answer = await ask(sent);
    if (mine !== turn) return;
    const [width, height] = [photo.naturalWidth || 1, photo.naturalHeight || 1];
    showFaces(answer.faces, photo, width, height);
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

/** Send the next frame when the answer to the last is drawn: the server sets the pace. */
async function follow(mine) {
  const video = $("video");
  let last = performance.now();
  let rate = 0;
  while (mine === turn) {
    const jpeg = await toJpeg(video, video.videoWidth, video.videoHeight, FRAME);
    try {
      const answer = await ask(jpeg);
      if (mine !== turn) return;
      showFaces(answer.faces, canvas, canvas.width, canvas.height, true);
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
  say("Nothing yet: choose a photo or use the camera.");
  return ++turn;
}

const firstImage = (transfer) => [...transfer.files].find((file) => file.size);
const take = (file) => file && readPhoto(file);

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
$("unsure").value = 100 * abstain_below;
$("unsure").addEventListener("input", setLimit);
setLimit();
$("camera").addEventListener("click", () => (stream ? clear() : startCamera()));
$("clear").addEventListener("click", () => {
  clear();
  $("choose").focus();
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    if (name === "drop") take(firstImage(event.dataTransfer));
  });
}
document.addEventListener("paste", (event) => take(firstImage(event.clipboardData)));
$("model").textContent = `Model: ${model}`;
