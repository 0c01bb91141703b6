// CenterFace in JavaScript: one network that marks the centres of faces, unclear ones too.
// A translation of fer_utils/photos/centerface.py, whose comments say why.

import { best, crops, halved } from "./boxes.js";
import { blank } from "./pixels.js";

/** @typedef {import("./boxes.js").Detection} Detection */

export class CenterFace {
  /**
   * @param {() => Promise<Function>} network fetches it when it is needed first; it takes
   *   bytes and their shape [N,H,W,3], and resolves to its four outputs `{data, dims}`
   * @param {object} numbers those of centerface.py, from models.json
   */
  constructor(network, numbers) {
    Object.assign(this, { network, numbers });
  }

  /**
   * Find faces, the most likely first.
   * @param {import("./pixels.js").Pixels} photo
   * @returns {Promise<Detection[]>}
   */
  async detect(photo) {
    const { tile, shared, overlap, doubtful, likely, grown, moved, power } = this.numbers;
    const found = [];
    const step = tile - shared;
    for (let left = 0; left < Math.max(1, photo.width - shared); left += step) {
      for (let top = 0; top < Math.max(1, photo.height - shared); top += step) {
        found.push(...(await this.look(photo, left, top)));
      }
    }
    const kept = best(found, doubtful, overlap, true).slice(0, likely);
    return (await this.again(photo, kept)).map(({ box, score, points }) => {
      const sides = [box[2] - box[0], box[3] - box[1]];
      const edges = box.map((_, i) => {
        const [side, axis] = [sides[i % 2], i % 2];
        const middle = (box[axis] + box[axis + 2]) / 2 + moved[axis] * side;
        return middle + ((i < 2 ? -1 : 1) * grown * side) / 2;
      });
      return { box: edges, score: score ** power, points };
    });
  }

  /** Look at the part of a photo that begins at a corner; in pixels of the photo. */
  async look(photo, left, top) {
    const { tile, multiple, doubtful } = this.numbers;
    const [width, height] = [photo.width - left, photo.height - top].map(
      (side) => Math.ceil(Math.min(tile, side) / multiple) * multiple,
    );
    const { data } = part(photo, left, top, width, height);
    const network = await this.network();
    const outputs = await network(data, [1, height, width, 3]);
    const found = [];
    outputs[0].data.forEach((score, cell) => {
      if (score <= doubtful) return;
      const { centre, half, points } = this.read(outputs, 0, cell);
      const [x, y] = [centre[0] + left, centre[1] + top];
      const box = [x - half[0], y - half[1], x + half[0], y + half[1]];
      const marks = points.map((point) => [point[0] + left, point[1] + top]);
      found.push({ box, score, points: marks });
    });
    return found;
  }

  /** Look again at what may be faces, each alone; the scores are the means of both. */
  async again(photo, found) {
    const { stride, side, room, near, together } = this.numbers;
    const halves = halved(photo);
    const matrices = found.map(({ box: [left, top, right, bottom], points: [one, other] }) => {
      const pixel = (room / side) * Math.max(right - left, bottom - top);
      const eyes = [other[0] - one[0], other[1] - one[1]];
      const times = pixel / Math.max(1e-6, Math.hypot(...eyes));
      const [x, y] = [eyes[0] * times, eyes[1] * times];
      const across = (left + right - (x - y) * side) / 2;
      const along = (top + bottom - (x + y) * side) / 2;
      return [x, -y, across, y, x, along];
    });
    const network = await this.network();
    const cells = side / stride;
    const first = cells / 2 - near;
    const again = [];
    for (let start = 0; start < found.length; start += together) {
      const some = matrices.slice(start, start + together);
      const { data } = crops(halves, some, side);
      const outputs = await network(data, [some.length, side, side, 3]);
      some.forEach(([a, b, c, d, e, f], image) => {
        const scores = outputs[0].data.subarray(image * cells * cells);
        let likely = first * cells + first;
        for (let row = first; row < first + 2 * near; row++) {
          for (let cell = row * cells + first; cell < row * cells + first + 2 * near; cell++) {
            if (scores[cell] > scores[likely]) likely = cell;
          }
        }
        const { score, centre, half, points } = this.read(outputs, image, likely);
        const back = ([x, y]) => [a * x + b * y + c, d * x + e * y + f];
        const [x, y] = back(centre);
        const [right, down] = half.map((length) => length * Math.hypot(a, d));
        again.push({
          box: [x - right, y - down, x + right, y + down],
          score: (found[start + image].score + score) / 2,
          points: points.map(back),
        });
      });
    }
    return again;
  }

  /** Return what the network says of a place in one of the images it looked at. */
  read([scores, sizes, offsets, points], image, cell) {
    const { stride } = this.numbers;
    const [, , rows, columns] = scores.dims;
    const value = ({ data, dims }, channel) =>
      data[(image * dims[1] + channel) * rows * columns + cell];
    const place = [cell % columns, Math.floor(cell / columns)];
    // The network names the rows first: height, width; y, x.
    const half = [1, 0].map((channel) => (stride * Math.exp(value(sizes, channel))) / 2);
    const centre = place.map((at, axis) => stride * (at + value(offsets, 1 - axis) + 0.5));
    const marks = [0, 1, 2, 3, 4].map((mark) =>
      centre.map((at, axis) => at + (2 * value(points, 2 * mark + 1 - axis) - 1) * half[axis]),
    );
    return { score: value(scores, 0), centre, half, points: marks };
  }
}

/** Cut a part out of a photo, black beyond its edges. */
function part({ width, height, channels, data }, left, top, across, down) {
  const piece = blank(across, down, channels);
  const bytes = channels * Math.min(across, width - left);
  for (let y = 0; y < Math.min(down, height - top); y++) {
    const start = channels * ((top + y) * width + left);
    piece.data.set(data.subarray(start, start + bytes), channels * y * across);
  }
  return piece;
}
