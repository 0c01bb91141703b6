// Pictures turned, shifted and cut out, pixel by pixel as Pillow does it.

import { blank } from "./pixels.js";

/**
 * Draw `source` into `target`: pixel x, y of it shows the place a·x + b·y + c,
 * d·x + e·y + f of the source, between pixels the mixture of four. Beyond the source it
 * is black, or with `extend` the source's outermost pixels go on.
 * @param {import("./pixels.js").Pixels} source
 * @param {import("./pixels.js").Pixels} target
 * @param {number[]} matrix a, b, c, d, e, f; places count from corners, not centres
 */
export function draw(source, target, [a, b, c, d, e, f], extend = false) {
  const { width, height, channels, data } = source;
  const [right, bottom] = [width - 1, height - 1];
  for (let row = 0, out = 0; row < target.height; row++) {
    const down = row + 0.5;
    for (let column = 0; column < target.width; column++, out += channels) {
      const across = column + 0.5;
      let x = a * across + b * down + c;
      let y = d * across + e * down + f;
      if (!extend && !(x >= 0 && x < width && y >= 0 && y < height)) {
        for (let channel = 0; channel < channels; channel++) target.data[out + channel] = 0;
        continue;
      }
      const left = Math.floor((x -= 0.5));
      const top = Math.floor((y -= 0.5));
      const [partX, partY] = [x - left, y - top];
      const x0 = channels * Math.max(0, Math.min(right, left));
      const x1 = channels * Math.max(0, Math.min(right, left + 1));
      const y0 = channels * width * Math.max(0, Math.min(bottom, top));
      const y1 = channels * width * Math.max(0, Math.min(bottom, top + 1));
      for (let channel = 0; channel < channels; channel++) {
        const upper = mix(data[y0 + x0 + channel], data[y0 + x1 + channel], partX);
        const lower = mix(data[y1 + x0 + channel], data[y1 + x1 + channel], partX);
        target.data[out + channel] = mix(upper, lower, partY);
      }
    }
  }
  return target;
}

const mix = (one, other, part) => one + (other - one) * part;

/** Return a picture turned anticlockwise by `degrees`, large enough to hold all of it. */
export function rotate(picture, degrees) {
  const { width, height, channels } = picture;
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const xs = [0, width, width, 0].map((x, i) => cos * x - sin * (i > 1 ? height : 0));
  const ys = [0, width, width, 0].map((x, i) => sin * x + cos * (i > 1 ? height : 0));
  // Counted from where the picture's centre stays, as Pillow rounds the size there.
  const dx = width / 2 - (cos * width - sin * height) / 2;
  const dy = height / 2 - (sin * width + cos * height) / 2;
  const whole = (values, shift) =>
    Math.ceil(Math.max(...values) + shift) - Math.floor(Math.min(...values) + shift);
  const large = blank(whole(xs, dx), whole(ys, dy), channels);
  const [x, y] = [-large.width / 2, -large.height / 2];
  const c = cos * x - sin * y + width / 2;
  const f = sin * x + cos * y + height / 2;
  return draw(picture, large, [cos, -sin, c, sin, cos, f]);
}
