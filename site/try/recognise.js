// From a photo's pixels to its faces and their expressions, with no server: the steps of
// fer_utils/photos/predictor.py, its networks run by ONNX Runtime's WebAssembly.

import { Cascade } from "./cascade.js";
import { CenterFace } from "./centerface.js";
import { cropFace, looksCropped, seen, wholeFace } from "./crop.js";
import { findFaces } from "./detect.js";
import * as ort from "./runtime/ort.wasm.bundle.min.mjs";

const RUNTIME = "runtime/ort-wasm-simd-threaded.wasm";
const here = (name) => new URL(name, import.meta.url).href;

// One thread: more would need headers that a plain static host does not send.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/**
 * A face as the page draws it.
 * @typedef {object} Face
 * @property {number[]} box left, top, right, bottom, in pixels of the photo
 * @property {Object<string, number>} probabilities of all classes; sum 1
 * @property {number} confidence the highest of them
 */

/** Fetch a file of this page; an Error names the one that is not there. */
async function load(name, how) {
  const response = await fetch(here(name)).catch(() => null);
  if (response?.ok) return response[how]();
  throw new Error(
    `A part of this page could not be loaded (${name}); reload it, or tell whoever runs it.`,
  );
}

async function open(model, name) {
  try {
    return await ort.InferenceSession.create(model);
  } catch (error) {
    throw new Error(`${name} cannot be used in this browser (${error.message}).`);
  }
}

/** Return a function from bytes and their shape to a network's outputs, in order. */
function runner(session, type, input) {
  return async (data, shape) => {
    const outputs = await session.run({ [input]: new ort.Tensor(type, data, shape) });
    return session.outputNames.map((name) => outputs[name]);
  };
}

/** Fetch one more network of a detector. */
async function fetched(name) {
  return runner(await open(await load(name, "arrayBuffer"), name), "uint8", "pixels");
}

export class Recogniser {
  /**
   * Load the networks but CenterFace, which follows when a face is hard to see; an Error
   * says in one sentence what is missing.
   */
  static async load() {
    const settings = await load("models.json", "json");
    const { face, p, r, o } = settings.networks;
    const files = [face, p, r, o];
    // Fetched here and not by the runtime, whose own words would help nobody.
    const [engine, ...models] = await Promise.all(
      [RUNTIME, ...files].map((name) => load(name, "arrayBuffer")),
    );
    ort.env.wasm.wasmBinary = engine;
    const sessions = await Promise.all(models.map((model, i) => open(model, files[i])));
    return new Recogniser(settings, ...sessions);
  }

  constructor(settings, face, ...cascade) {
    const [p, r, o] = cascade.map((session) => runner(session, "uint8", "pixels"));
    this.settings = settings;
    let opened;
    const forget = (error) => {
      opened = undefined; // so that the next photo tries again
      throw error;
    };
    const careful = () => (opened ??= fetched(settings.networks.careful).catch(forget));
    this.detectors = {
      cascade: new Cascade({ p, r, o }, settings.cascade),
      careful: new CenterFace(careful, settings.centerface),
    };
    this.network = runner(face, "float32", settings.input);
  }

  /**
   * Return the faces of a photo, largest first.
   * @param {import("./pixels.js").Pixels} photo
   * @param {object} how `quick`: for a camera, whose next frame makes up for what this
   *   one misses: one search, and at most two views of each face; `goOn`: see `findFaces`
   * @returns {Promise<Face[]>}
   */
  async recognise(photo, { quick = false, goOn = async () => true } = {}) {
    const { crop, detect } = this.settings;
    const views = quick ? Math.min(2, this.settings.views) : this.settings.views;
    const further = quick ? async () => false : goOn;
    if (looksCropped(photo, crop)) {
      const whole = [0, 0, photo.width, photo.height];
      return [await this.judge(wholeFace(photo, crop), whole, views)];
    }
    const faces = [];
    for (const found of await findFaces(this.detectors, photo, detect, further)) {
      faces.push(await this.judge(cropFace(photo, found, crop), found.box, views));
    }
    return faces;
  }

  /** @returns {Promise<Face>} what is said of a face, grey and 48×48 */
  async judge(face, box, views) {
    const { classes, balance, temperature, cut } = this.settings;
    const pixels = seen(face, views, cut);
    const [answer] = await this.network(pixels, [views, 1, face.height, face.width]);
    const means = classes.map((_, code) => {
      let sum = 0;
      for (let i = code; i < answer.data.length; i += classes.length) sum += answer.data[i];
      return sum / views;
    });
    const balanced = shares(means.map((share, code) => share * balance[code]));
    const chances = shares(balanced.map((share) => share ** (1 / temperature)));
    const probabilities = Object.fromEntries(classes.map((name, i) => [name, chances[i]]));
    return { box, probabilities, confidence: Math.max(...chances) };
  }
}

/** Scale numbers so that they sum to one. */
function shares(values) {
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => value / total);
}
