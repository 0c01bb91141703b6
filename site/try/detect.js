// Find the faces in a photo: quickly in a usual one, carefully where none is seen.
// A translation of fer_utils/photos/detect.py.

import { BILINEAR, resize } from "./pixels.js";
import { rotate } from "./warp.js";

/** @typedef {import("./boxes.js").Detection} Detection */
/** @typedef {import("./pixels.js").Pixels} Pixels */

/**
 * Find the faces in an upright photo, largest first; boxes in whole pixels.
 * @param {object} detectors `cascade`, the quick one, and `careful`, CenterFace
 * @param {Pixels} photo
 * @param {object} numbers those of detect.py, from models.json
 * @param {() => Promise<boolean>} goOn asked before each further search, which takes
 *   longer than the first: whether the answer is still wanted
 * @returns {Promise<Detection[]>}
 */
export async function findFaces(detectors, photo, numbers, goOn) {
  for await (const found of searches(detectors, photo, numbers)) {
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
async function* searches({ cascade, careful }, image, numbers) {
  const { search_size, min_size, tile, small, finer, angles } = numbers;
  const times = shrink(image, search_size);
  const whole = Math.min(tile, search_size);
  const less = Math.min(small, whole);
  const quickly = async (by) =>
    (await cascade.detect(shrunk(image, by), min_size)).map(back(by));
  const carefully = async (longest, angle = 0) => {
    const by = shrink(image, longest);
    const photo = shrunk(image, by);
    const turned = angle ? rotate(photo, angle) : photo;
    return (await careful.detect(turned)).map(back(by, angle, turned, image));
  };
  yield larger(await quickly(times), min_size * times);
  for (const longest of [whole, less]) yield larger(await carefully(longest), min_size * times);
  const large = finer * search_size;
  const by = shrink(image, large);
  if (by < times) {
    yield larger(await quickly(by), min_size * by);
    yield larger(await carefully(large), (min_size * by) / 2);
  } else if (Math.max(image.width, image.height) > whole) {
    yield larger(await carefully(large), min_size * by);
  }
  for (const angle of angles) yield larger(await carefully(less, angle), min_size * times);
}

/** Return how much to shrink a photo, so that its longer side is `longest`. */
function shrink({ width, height }, longest) {
  return Math.max(1, Math.max(width, height) / longest);
}

function shrunk(image, times) {
  const sides = [image.width, image.height].map((side) => Math.max(1, even(side / times)));
  return resize(image, ...sides, BILINEAR, 2);
}

/** Return the faces with a longer side of at least `least` pixels. */
function larger(found, least) {
  return found.filter(({ box }) => Math.max(box[2] - box[0], box[3] - box[1]) >= least);
}

/** Return a function that maps a face from a photo shrunk, then turned, to the whole one. */
function back(times, angle = 0, turned = null, image = null) {
  const turn = (angle * Math.PI) / 180;
  const [cos, sin] = [times * Math.cos(turn), times * Math.sin(turn)];
  // From the centre of one to the centre of the other; else from corner to corner.
  const [there, here] = [turned, image].map((each) =>
    each ? [each.width / 2, each.height / 2] : [0, 0],
  );
  const place = ([x, y]) => {
    const [right, down] = [x - there[0], y - there[1]];
    return [right * cos - down * sin + here[0], right * sin + down * cos + here[1]];
  };
  return ({ box: [left, top, right, bottom], score, points }) => {
    const [x, y] = place([(left + right) / 2, (top + bottom) / 2]);
    const half = [(times * (right - left)) / 2, (times * (bottom - top)) / 2];
    const box = [x - half[0], y - half[1], x + half[0], y + half[1]];
    return { box, score, points: points.map(place) };
  };
}
