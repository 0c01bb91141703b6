// Found faces, cut out the way FER2013's were, and seen several times: upright, grey,
// 48×48. A translation of fer_utils/photos/crop.py and of evaluation/tta.py.

import { area } from "./detect.js";
import { blank, BOX, greyPart, reduce, resize } from "./pixels.js";
import { draw } from "./warp.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

/**
 * Cut a face out of an upright photo, eyes level.
 * @param {Pixels} photo
 * @param {import("./cascade.js").Detection} face
 * @param {object} numbers those of crop.py, from models.json
 * @returns {Pixels} grey; beyond the photo's edges its outermost pixels go on
 */
export function cropFace(photo, { box, points }, numbers) {
  const { size, frame_side: frame, frame_centre: centre } = numbers;
  const scale = frame / Math.sqrt(area(box));
  const [dx, dy] = [points[1][0] - points[0][0], points[1][1] - points[0][1]];
  const long = Math.hypot(dx, dy) || 1;
  const [cos, sin] = [(scale * dx) / long, (scale * dy) / long];
  const middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const shiftX = centre[0] - (cos * middle[0] + sin * middle[1]);
  const shiftY = centre[1] - (cos * middle[1] - sin * middle[0]);
  // Drawn larger, then averaged down: a large face sampled at only 48×48 points would
  // show single pores.
  const times = Math.max(1, Math.min(16, Math.ceil(1 / Math.hypot(cos, sin))));
  const square = cos * cos + sin * sin || 1;
  const back = (x, y) => [
    (cos * (x - shiftX) - sin * (y - shiftY)) / square,
    (sin * (x - shiftX) + cos * (y - shiftY)) / square,
  ];
  const corners = [back(0, 0), back(size, 0), back(0, size), back(size, size)];
  const { part, left, top } = around(photo, corners);
  const [c, f] = back(0, 0);
  const [a, b] = [cos / square / times, sin / square / times];
  const large = blank(size * times, size * times, 1);
  draw(part, large, [a, -b, c - left, b, a, f - top], true);
  return reduce(large, times);
}

/** Return the part of a photo that holds the corners, grey, and where it begins. */
function around(photo, corners) {
  const span = (axis, side) => {
    const places = corners.map((corner) => corner[axis]);
    const near = Math.floor(Math.min(...places)) - 1;
    const far = Math.ceil(Math.max(...places)) + 1;
    const first = Math.max(0, Math.min(side - 1, near));
    return [first, Math.max(first + 1, Math.min(side, far))];
  };
  const [left, right] = span(0, photo.width);
  const [top, bottom] = span(1, photo.height);
  return { part: greyPart(photo, left, top, right, bottom), left, top };
}

/** Return a square picture that already is a face, grey and 48×48. */
export function wholeFace(photo, { size }) {
  const grey = greyPart(photo, 0, 0, photo.width, photo.height);
  return resize(grey, size, size, BOX);
}

/** Whether a picture is a face already: square, at most 64 pixels, without colour. */
export function looksCropped({ width, height, data }, { least_side: least }) {
  if (width !== height || width > 64 || width < least) return false;
  for (let i = 0; i < data.length; i += 3) {
    const [red, green, blue] = [data[i], data[i + 1], data[i + 2]];
    // JPEG tints grey a little.
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > 8) return false;
  }
  return true;
}

/**
 * Return several versions of a face: as it is; without the last rows and columns, and
 * without the first; each of these mirrored too.
 * @param {Pixels} face grey
 * @param {1 | 2 | 6} views
 * @param {number} cut rows and columns of 48
 * @returns {Float32Array} [views,48,48] in 0..1
 */
export function seen(face, views, cut) {
  const side = face.width;
  const grey = Float32Array.from(face.data, (value) => value / 255);
  const found = [grey];
  if (views === 6) {
    const less = Math.max(1, Math.round((side * cut) / 48));
    for (const first of [0, less]) found.push(enlarged(grey, side, first, side - less));
  }
  const all = new Float32Array(views * side * side);
  found.forEach((view, i) => all.set(view, i * side * side));
  if (views > 1) {
    const start = found.length * side * side;
    for (let i = 0; i < start; i++) {
      const x = i % side;
      all[start + i] = all[i - x + side - 1 - x];
    }
  }
  return all;
}

/** Enlarge the square of `from` pixels that begins at `first`, `first`; bilinear. */
function enlarged(grey, side, first, from) {
  const places = Array.from({ length: side }, (_, i) =>
    Math.max(0, Math.min(from - 1, ((i + 0.5) * from) / side - 0.5)),
  );
  const at = (x, y) => grey[(first + y) * side + first + x];
  const view = new Float32Array(side * side);
  places.forEach((y, row) => {
    const [top, bottom] = [Math.floor(y), Math.ceil(y)];
    places.forEach((x, column) => {
      const [left, right] = [Math.floor(x), Math.ceil(x)];
      const upper = at(left, top) + (at(right, top) - at(left, top)) * (x - left);
      const lower = at(left, bottom) + (at(right, bottom) - at(left, bottom)) * (x - left);
      view[row * side + column] = upper + (lower - upper) * (y - top);
    });
  });
  return view;
}
