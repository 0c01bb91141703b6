// A file as it comes → the pixels of an upright photo, or one sentence about what is wrong.

import { drawSmaller } from "./stage.js";

// px; what every browser's canvas can hold. Faces are searched for in far fewer.
const LONGEST = 4096;
const FORMATS = "JPEG, PNG, WebP, GIF or BMP";

/**
 * Return a file if it is a photo that can be read; else an Error says why not. Only its
 * header is read: the pixels of a very large one would not fit into memory.
 * @param {Blob} file
 * @param {number} mostPixels
 */
export async function checked(file, mostPixels) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  const readable = await new Promise((done) => {
    image.onload = () => done(true);
    image.onerror = () => done(false);
  });
  const { naturalWidth: width, naturalHeight: height } = image;
  URL.revokeObjectURL(image.src);
  if (!readable || !width || !height) throw new Error(await unreadable(file));
  if (width * height > mostPixels) {
    const limit = `at most ${mostPixels / 1e6} million are accepted`;
    throw new Error(`That photo has ${width}×${height} pixels; ${limit}.`);
  }
  return file;
}

/** Say in a sentence why a file cannot be read. */
async function unreadable(file) {
  if (!file.size) return "That file is empty.";
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 32).arrayBuffer()));
  if (/^....ftyp.*(hei|hev|mif1|msf1)/s.test(start)) {
    return "That is a HEIC photo, which this browser cannot read; save it as JPEG first.";
  }
  if (/^(\xff\xd8|\x89PNG|GIF8|BM|RIFF....WEBP)/s.test(start)) {
    return "That photo is damaged: this browser cannot read it.";
  }
  return `That file is not a photo that this browser can read; take ${FORMATS}.`;
}

/**
 * Return a photo's pixels, upright, on white where it is transparent.
 * @param {Blob} file
 * @returns {Promise<{rgba: Uint8ClampedArray, width: number, height: number,
 *   times: number}>} `times`: how much larger the photo is than these pixels
 */
export async function pixelsOf(file) {
  // As the file has them: a screen's colours are no concern of the networks.
  const options = { colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => null);
  if (!bitmap) throw new Error(await unreadable(file));
  const canvas = document.createElement("canvas");
  const context = drawSmaller(canvas, bitmap, bitmap.width, bitmap.height, LONGEST);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const times = bitmap.width / canvas.width;
  bitmap.close();
  return { ...read(context), times };
}

/** Return the pixels of a canvas. */
export function read(context) {
  const { width, height } = context.canvas;
  return { rgba: context.getImageData(0, 0, width, height).data, width, height };
}
