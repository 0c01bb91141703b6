// Which boxes are the same face, and the pixels in them. A translation of
// fer_utils/photos/boxes.py.

import { blank, reduce } from "./pixels.js";
import { overlap } from "./track.js";
import { draw } from "./warp.js";

/**
 * What looks like a face to a detector, in pixels of the photo.
 * @typedef {object} Detection
 * @property {number[]} box left, top, right, bottom
 * @property {number} score 0..1
 * @property {number[][]} points x, y of eyes, nose, corners of the mouth
 */

const MOST = 1000; // that go on from one step to the next: bounds the time

/** Return those above a threshold, none overlapping a better one by more than `limit`. */
export function best(found, threshold, limit, ofSmaller = false) {
  let order = found.filter(({ score }) => score > threshold);
  order.sort((a, b) => b.score - a.score);
  order = order.slice(0, MOST);
  const kept = [];
  while (order.length) {
    const first = order[0];
    kept.push(first);
    order = order.filter(
      (each) => each !== first && overlap(first.box, each.box, ofSmaller) <= limit,
    );
  }
  return kept;
}

/** Make each box the square around its centre, as large as its longer side. */
export function squared(found) {
  return found.map((each) => {
    const [left, top, right, bottom] = each.box;
    const half = Math.max(right - left, bottom - top) / 2;
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return { ...each, box: [x - half, y - half, x + half, y + half] };
  });
}

/** Return the photo, half its size, a quarter… */
export function halved(photo) {
  const halves = [photo];
  while (Math.min(halves.at(-1).width, halves.at(-1).height) > 48) {
    halves.push(reduce(halves.at(-1), 2));
  }
  return halves;
}

/**
 * Cut squares out of a photo, black beyond its edges, and stand them on one another.
 * Each is drawn from the half, quarter… of the photo with at most twice its pixels.
 * @param {number[][]} matrices from places in each square to the photo's: see `draw`
 */
export function crops(halves, matrices, side) {
  const column = blank(side, side * matrices.length, 3);
  const bytes = 3 * side * side;
  matrices.forEach((matrix, i) => {
    const steps = Math.floor(Math.log2(Math.max(1, Math.hypot(matrix[0], matrix[3]))));
    const step = Math.min(steps, halves.length - 1);
    const data = column.data.subarray(bytes * i, bytes * (i + 1));
    const place = { width: side, height: side, channels: 3, data };
    draw(halves[step], place, matrix.map((value) => value / 2 ** step));
  });
  return column;
}
