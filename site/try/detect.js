// Find the faces in a photo: quickly in a usual one, thoroughly where none is seen.
// A translation of fer_utils/photos/detect.py.

import { BILINEAR, resize } from "./pixels.js";
import { expand, mirror, rotate } from "./warp.js";

/** @typedef {import("./cascade.js").Detection} Detection */
/** @typedef {import("./pixels.js").Pixels} Pixels */

/**
 * Find the faces in an upright photo, largest first; boxes in whole pixels.
 * @param {import("./cascade.js").Cascade} cascade
 * @param {Pixels} photo
 * @param {object} numbers those of detect.py, from models.json
 * @param {() => Promise<boolean>} goOn asked before each further search, which takes
 *   longer than the first: whether the answer is still wanted
 * @returns {Promise<Detection[]>}
 */
export async function findFaces(cascade, photo, numbers, goOn) {
  for await (const found of searches(cascade, photo, numbers)) {
    const faces = found
      .filter(({ score }) => score >= numbers.min_confidence)
      .map((face) => ({ ...face, box: inside(face.box, photo) }))
      .filter(({ box }) => box[2] > box[0] && box[3] > box[1]);
    if (faces.length || !(await goOn())) {
      return faces.sort((a, b) => area(b.box) - area(a.box));
    }
  }
  return [];
}

export const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);

function inside(box, { width, height }) {
  const limits = [width, height, width, height];
  return box.map((edge, i) => Math.max(0, Math.min(limits[i], even(edge))));
}

/** Round as Python does: a half to the even number. */
export function even(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Search a photo in one way after another, the likely ones first. */
async function* searches(cascade, image, numbers) {
  const { search_size: size, min_size: minSize, filled, finer, angles } = numbers;
  const search = (shrunk, ways) => searchOnce(cascade, shrunk, minSize, numbers, ways);
  const photo = shrink(image, size);
  yield search(photo, { thresholds: cascade.numbers.thresholds });
  yield search(photo, { sure: true });
  yield search(photo, { mirrored: true });
  const small = shrink(image, Math.min(filled, size));
  const longest = Math.max(small.pixels.width, small.pixels.height);
  const large = await search(small, { margin: Math.floor(longest / 3) });
  yield ofSize(large, minSize * photo.times);
  if (photo.times > 1) yield search(shrink(image, finer * size), { sure: true });
  for (const angle of angles) yield search(photo, { angle, sure: true });
}

/** Return a photo with its longer side at most `longest`; and how much it was shrunk. */
function shrink(image, longest) {
  const times = Math.max(1, Math.max(image.width, image.height) / longest);
  const sides = [image.width, image.height].map((side) => Math.max(1, even(side / times)));
  return { pixels: resize(image, ...sides, BILINEAR, 2), times };
}

/** Search a photo, changed in some way; in pixels of what is `times` as large. */
async function searchOnce(cascade, { pixels, times }, minSize, numbers, ways) {
  const { thresholds = cascade.numbers.doubtful, mirrored, margin, angle = 0, sure } = ways;
  let changed = mirrored ? mirror(pixels) : pixels;
  if (margin) changed = expand(changed, margin);
  if (angle) changed = rotate(changed, angle);
  const found = ofSize(await cascade.detect(changed, minSize, thresholds), minSize);
  if (sure) {
    const scores = await cascade.certainty(changed, found);
    found.forEach((face, i) => (face.score = scores[i]));
  }
  const turn = (angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  /** From the centre of the changed photo to the corner of the whole one. */
  const back = ([x, y]) => {
    const [right, down] = [x - changed.width / 2, y - changed.height / 2];
    const across = times * (right * cos - down * sin) * (mirrored ? -1 : 1);
    const along = times * (right * sin + down * cos);
    return [across + (times * pixels.width) / 2, along + (times * pixels.height) / 2];
  };
  return found.map(({ box: [left, top, right, bottom], score, points }) => {
    const [x, y] = back([(left + right) / 2, (top + bottom) / 2]);
    const [halfX, halfY] = [(times * (right - left)) / 2, (times * (bottom - top)) / 2];
    // Mirrored, the right eye is the left one.
    const order = mirrored ? [1, 0, 2, 4, 3] : [0, 1, 2, 3, 4];
    return {
      box: [x - halfX, y - halfY, x + halfX, y + halfY],
      score,
      points: order.map((i) => back(points[i])),
    };
  });
}

/** Return the faces with a longer side of at least `least` pixels. */
function ofSize(found, least) {
  return found.filter(({ box }) => Math.max(box[2] - box[0], box[3] - box[1]) >= least);
}
