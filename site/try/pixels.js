// Pictures made smaller, byte for byte as Pillow does it. The detector was tuned, and its
// answers were measured, on Pillow's pixels; a canvas resizes in its own way, which
// differs between browsers and moves boxes.

/**
 * A picture, row by row.
 * @typedef {{width: number, height: number, channels: 1 | 3, data: Uint8Array}} Pixels
 */

/** @returns {Pixels} black */
export function blank(width, height, channels) {
  return { width, height, channels, data: new Uint8Array(width * height * channels) };
}

/** @param {Uint8ClampedArray} rgba of a canvas @returns {Pixels} in red, green, blue */
export function fromCanvas(rgba, width, height) {
  const rgb = blank(width, height, 3);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    rgb.data[j++] = rgba[i];
    rgb.data[j++] = rgba[i + 1];
    rgb.data[j++] = rgba[i + 2];
  }
  return rgb;
}

/** Cut a part out, from `left`, `top` to before `right`, `bottom`; in grey (Rec. 601). */
export function greyPart({ width, data }, left, top, right, bottom) {
  const grey = blank(right - left, bottom - top, 1);
  for (let y = top, j = 0; y < bottom; y++) {
    for (let i = 3 * (y * width + left); j < grey.width * (y - top + 1); i += 3) {
      const sum = 19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2];
      grey.data[j++] = (sum + 0x8000) >> 16;
    }
  }
  return grey;
}

/** Average blocks of `across` × `down` pixels; those at the far edges may be smaller. */
export function reduce({ width, height, channels, data }, across, down = across) {
  const small = blank(Math.ceil(width / across), Math.ceil(height / down), channels);
  for (let y = 0, out = 0; y < small.height; y++) {
    const bottom = Math.min(height, (y + 1) * down);
    for (let x = 0; x < small.width; x++) {
      const right = Math.min(width, (x + 1) * across);
      const count = (bottom - y * down) * (right - x * across);
      // Pillow divides by multiplying, which can end one lower than a division.
      const times = Math.floor(Math.fround(2 ** 32 / (256 * count)));
      for (let channel = 0; channel < channels; channel++) {
        let sum = count >> 1;
        for (let row = y * down; row < bottom; row++) {
          const end = (row * width + right) * channels;
          let i = (row * width + x * across) * channels + channel;
          for (; i < end; i += channels) sum += data[i];
        }
        small.data[out++] = (sum * times) / 2 ** 24;
      }
    }
  }
  return small;
}

export const BOX = { support: 0.5, weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
export const BILINEAR = { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) };

/**
 * Resize a picture, as Pillow's `resize` with a `reducing_gap`: by whole blocks first,
 * down to `gap` times the size wanted, which is much quicker.
 * @param {Pixels} picture
 * @returns {Pixels} the picture itself where it has that size
 */
export function resize(picture, width, height, filter, gap = Infinity) {
  if (picture.width === width && picture.height === height) return picture;
  const across = Math.floor(picture.width / width / gap) || 1;
  const down = Math.floor(picture.height / height / gap) || 1;
  // What is left of the last block may be narrower than the others.
  const right = Math.fround(picture.width / across);
  const bottom = Math.fround(picture.height / down);
  const blocks = across > 1 || down > 1 ? reduce(picture, across, down) : picture;
  const narrow =
    blocks.width === width && right === width ? blocks : squeeze(blocks, width, right, filter);
  if (blocks.height === height && bottom === height) return narrow;
  return turned(squeeze(turned(narrow), height, bottom, filter));
}

/** Exchange rows and columns. */
function turned({ width, height, channels, data }) {
  const other = blank(height, width, channels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let j = (x * height + y) * channels;
      for (let channel = 0; channel < channels; channel++) other.data[j++] = data[i++];
    }
  }
  return other;
}

const BITS = 22; // of a weight's fraction

/** Resize the first `length` pixels of each row to `width`. */
function squeeze({ width: from, height, channels, data }, width, length, filter) {
  const other = blank(width, height, channels);
  const parts = [];
  for (let x = 0; x < width; x++) parts.push(weightsFor(x, from, length / width, filter));
  for (let y = 0, out = 0; y < height; y++) {
    for (const { first, weights } of parts) {
      const start = (y * from + first) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (BITS - 1);
        let i = start + channel;
        for (let k = 0; k < weights.length; k++, i += channels) sum += data[i] * weights[k];
        other.data[out++] = sum >> BITS;
      }
    }
  }
  return other;
}

/** How much each pixel from `first` on weighs in pixel `x` of the smaller row. */
function weightsFor(x, from, scale, { support, weigh }) {
  const wide = Math.max(1, scale);
  const centre = (x + 0.5) * scale;
  const first = Math.max(0, Math.trunc(centre - support * wide + 0.5));
  const end = Math.min(from, Math.trunc(centre + support * wide + 0.5));
  const shares = [];
  for (let i = first; i < end; i++) shares.push(weigh((i - centre + 0.5) / wide));
  const total = shares.reduce((sum, share) => sum + share, 0) || 1;
  const weights = Int32Array.from(shares, (share) => 0.5 + (share / total) * 2 ** BITS);
  return { first, weights };
}
