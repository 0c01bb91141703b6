// MTCNN in JavaScript: three small networks, each more careful, from a photo's pixels to
// its faces. A translation of fer_utils/photos/cascade.py, whose comments say why.

import { best, crops, halved, squared } from "./boxes.js";
import { BOX, resize } from "./pixels.js";
import { overlap } from "./track.js";

/** @typedef {import("./boxes.js").Detection} Detection */

export class Cascade {
  /**
   * @param {object} networks `p`, `r`, `o`: each takes bytes and their shape [N,H,W,3],
   *   and resolves to its outputs `{data, dims}`: moves, (landmarks,) chances
   * @param {object} numbers those of cascade.py, from models.json
   */
  constructor(networks, numbers) {
    Object.assign(this, { networks, numbers });
  }

  /**
   * Find faces of at least `least` pixels.
   * @param {import("./pixels.js").Pixels} photo
   * @returns {Promise<Detection[]>}
   */
  async detect(photo, least) {
    const { thresholds, overlaps, same } = this.numbers;
    let found = await this.proposals(photo, least);
    const halves = halved(photo);
    found = await this.look("r", halves, squared(found), 24);
    found = best(found, thresholds[1], overlaps[1]).map(moved);
    found = await this.look("o", halves, squared(found), 48);
    for (const each of found) {
      const [left, top, right] = each.box;
      const side = right - left;
      each.points = [0, 1, 2, 3, 4].map((i) => [
        left + side * each.marks[i],
        top + side * each.marks[i + 5],
      ]);
    }
    found = found.map(moved);
    // A face's boxes are nearly as good as the best one; their mean jitters less.
    return best(found, thresholds[2], overlaps[2], true).map((face) => {
      const alike = found.filter(
        (each) => each.score > thresholds[2] && overlap(face.box, each.box) > same,
      );
      const total = alike.reduce((sum, each) => sum + each.score, 0);
      const mean = (value) =>
        alike.reduce((sum, each) => sum + value(each) * each.score, 0) / total;
      const points = face.points.map((point, i) => point.map((_, j) => mean((e) => e.points[i][j])));
      return { box: face.box.map((_, i) => mean((e) => e.box[i])), score: face.score, points };
    });
  }

  /** Run the first network over the photo in many sizes; the best first. */
  async proposals(photo, least) {
    const { cell, stride, factor, thresholds, overlaps } = this.numbers;
    const found = [];
    let level = photo;
    let scale = cell / least;
    for (; Math.min(photo.width, photo.height) * scale >= cell; scale *= factor) {
      const size = [Math.ceil(photo.width * scale), Math.ceil(photo.height * scale)];
      level = resize(level, ...size, BOX, 1);
      const shape = [1, level.height, level.width, 3];
      const [moves, chances] = await this.networks.p(level.data, shape);
      const rows = chances.dims[2];
      for (let i = 0; i < chances.data.length / 2; i++) {
        const score = chances.data[2 * i + 1];
        if (score < thresholds[0]) continue;
        const corner = [stride * Math.floor(i / rows), stride * (i % rows)];
        const near = corner.map((place) => (place + 1 - scale) / scale);
        const far = corner.map((place) => (place + cell) / scale);
        const moves4 = moves.data.subarray(4 * i, 4 * i + 4);
        found.push({ box: [...near, ...far], score, moves: moves4 });
      }
    }
    return best(found, thresholds[0], overlaps[0]).map(moved);
  }

  /** Show squares of a photo to a network; add what it says of each. */
  async look(name, halves, squares, side) {
    if (!squares.length) return [];
    const matrices = squares.map(({ box: [left, top, right] }) => {
      const pixel = (right - left) / side;
      return [pixel, 0, left, 0, pixel, top];
    });
    const { data } = crops(halves, matrices, side);
    const outputs = await this.networks[name](data, [squares.length, side, side, 3]);
    const chances = outputs.at(-1).data;
    return squares.map(({ box }, i) => ({
      box,
      score: chances[2 * i + 1],
      moves: outputs[0].data.subarray(4 * i, 4 * i + 4),
      marks: outputs[1].data.subarray(10 * i, 10 * i + 10), // if it gives any
    }));
  }
}

/** Move each edge by a part of the box's width or height. */
function moved(each) {
  const sides = [each.box[2] - each.box[0], each.box[3] - each.box[1]];
  return { ...each, box: each.box.map((edge, i) => edge + each.moves[i] * sides[i % 2]) };
}
