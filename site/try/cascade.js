// MTCNN in JavaScript: three small networks, each more careful, from a photo's pixels to
// its faces. A translation of fer_utils/photos/cascade.py, whose comments say why.

import { blank, BOX, reduce, resize } from "./pixels.js";
import { overlap } from "./track.js";
import { draw, mirror } from "./warp.js";

/**
 * What looks like a face to all three networks, in pixels of the photo.
 * @typedef {object} Detection
 * @property {number[]} box left, top, right, bottom
 * @property {number} score 0..1
 * @property {number[][]} points x, y of eyes, nose, corners of the mouth
 */

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
   * @param {number[]} thresholds of the three networks' scores
   * @returns {Promise<Detection[]>}
   */
  async detect(photo, least, thresholds) {
    const { overlaps, same } = this.numbers;
    let found = await this.proposals(photo, least, thresholds[0]);
    const halves = halved(photo);
    found = await this.look("r", halves, squared(found), 24);
    found = this.best(found, thresholds[1], overlaps[1]).map(moved);
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
    return this.best(found, thresholds[2], overlaps[2], true).map((best) => {
      const alike = found.filter(
        (each) => each.score > thresholds[2] && overlap(best.box, each.box) > same,
      );
      const total = alike.reduce((sum, each) => sum + each.score, 0);
      const mean = (value) =>
        alike.reduce((sum, each) => sum + value(each) * each.score, 0) / total;
      const points = best.points.map((point, i) => point.map((_, j) => mean((e) => e.points[i][j])));
      return { box: best.box.map((_, i) => mean((e) => e.box[i])), score: best.score, points };
    });
  }

  /** Look at faces again, larger, smaller, moved and mirrored; how sure of each, 0..1. */
  async certainty(photo, found) {
    const halves = halved(photo);
    const totals = new Float64Array(found.length);
    for (const [grown, aside] of this.numbers.looks) {
      const squares = squared(found).map(({ box: [left, top, right, bottom] }) => {
        const half = (right - left) / 2;
        const [grow, shift] = [half * grown, half * aside];
        return { box: [left - grow + shift, top - grow, right + grow + shift, bottom + grow] };
      });
      for (const [name, side] of [["r", 24], ["o", 48]]) {
        for (const mirrored of [false, true]) {
          const seen = await this.look(name, halves, squares, side, mirrored);
          seen.forEach(({ score }, i) => (totals[i] += score));
        }
      }
    }
    return [...totals].map((total) => total / (4 * this.numbers.looks.length));
  }

  /** Run the first network over the photo in many sizes; the best first. */
  async proposals(photo, least, threshold) {
    const { cell, stride, factor, overlaps } = this.numbers;
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
        if (score < threshold) continue;
        const corner = [stride * Math.floor(i / rows), stride * (i % rows)];
        const near = corner.map((place) => (place + 1 - scale) / scale);
        const far = corner.map((place) => (place + cell) / scale);
        const moves4 = moves.data.subarray(4 * i, 4 * i + 4);
        found.push({ box: [...near, ...far], score, moves: moves4 });
      }
    }
    return this.best(found, threshold, overlaps[0]).map(moved);
  }

  /** Show squares of a photo to a network; add what it says of each. */
  async look(name, halves, squares, side, mirrored = false) {
    if (!squares.length) return [];
    const column = crops(halves, squares, side);
    const { data } = mirrored ? mirror(column) : column;
    const outputs = await this.networks[name](data, [squares.length, side, side, 3]);
    const chances = outputs.at(-1).data;
    return squares.map(({ box }, i) => ({
      box,
      score: chances[2 * i + 1],
      moves: outputs[0].data.subarray(4 * i, 4 * i + 4),
      marks: outputs[1].data.subarray(10 * i, 10 * i + 10), // if it gives any
    }));
  }

  /** Return those above a threshold, none overlapping a better one by more than `limit`. */
  best(found, threshold, limit, ofSmaller = false) {
    let order = found.filter(({ score }) => score > threshold);
    order.sort((a, b) => b.score - a.score);
    order = order.slice(0, this.numbers.most);
    const kept = [];
    while (order.length) {
      const best = order[0];
      kept.push(best);
      order = order.filter(
        (each) => each !== best && overlap(best.box, each.box, ofSmaller) <= limit,
      );
    }
    return kept;
  }
}

/** Make each box the square around its centre, as large as its longer side. */
function squared(found) {
  return found.map((each) => {
    const [left, top, right, bottom] = each.box;
    const half = Math.max(right - left, bottom - top) / 2;
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return { ...each, box: [x - half, y - half, x + half, y + half] };
  });
}

/** Move each edge by a part of the box's width or height. */
function moved(each) {
  const sides = [each.box[2] - each.box[0], each.box[3] - each.box[1]];
  return { ...each, box: each.box.map((edge, i) => edge + each.moves[i] * sides[i % 2]) };
}

/** Return the photo, half its size, a quarter… */
function halved(photo) {
  const halves = [photo];
  while (Math.min(halves.at(-1).width, halves.at(-1).height) > 48) {
    halves.push(reduce(halves.at(-1), 2));
  }
  return halves;
}

/**
 * Cut squares out of a photo, black beyond its edges, and stand them on one another.
 * Each is drawn from the half, quarter… of the photo with at most twice its pixels.
 */
function crops(halves, squares, side) {
  const column = blank(side, side * squares.length, 3);
  const bytes = 3 * side * side;
  squares.forEach(({ box: [left, top, right] }, i) => {
    const step = Math.floor(Math.log2(Math.max(1, (right - left) / side)));
    const half = halves[Math.min(step, halves.length - 1)];
    const times = 2 ** Math.min(step, halves.length - 1);
    const pixel = (right - left) / times / side;
    const data = column.data.subarray(bytes * i, bytes * (i + 1));
    const place = { width: side, height: side, channels: 3, data };
    draw(half, place, [pixel, 0, left / times, 0, pixel, top / times]);
  });
  return column;
}
