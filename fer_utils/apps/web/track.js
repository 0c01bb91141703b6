// Who is who from one camera frame to the next, and what each face shows over time: the
// same rules as fer_utils/photos/track.py, for both pages.

const SMOOTHING = 0.5; // seconds, the time constant of exponential smoothing
const LOST = 1; // seconds without being seen, after which somebody is somebody new
const OVERLAP = 0.2; // intersection over union, from which two boxes are one person

/** The intersection of two boxes over their union (or over the smaller one), 0..1. */
export function overlap(one, other, ofSmaller = false) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  if (width <= 0 || height <= 0) return 0;
  const areas = [one, other].map((box) => (box[2] - box[0]) * (box[3] - box[1]));
  const all = ofSmaller ? Math.min(...areas) : areas[0] + areas[1] - width * height;
  return (width * height) / all;
}

export class Tracker {
  constructor() {
    this.people = [];
    this.count = 0;
  }

  /** Return the faces seen at `time` (seconds, rising), smoothed, each with a person. */
  add(time, faces) {
    this.people = this.people.filter((person) => time - person.time <= LOST);
    const known = this.pairs(faces);
    return faces.map((face, index) => this.seen(known.get(index), face, time));
  }

  /** Pair faces, by index, with people: the largest overlaps first. */
  pairs(faces) {
    const found = faces.flatMap((face, index) =>
      this.people.map((person) => ({ index, person, share: overlap(person.box, face.box) })),
    );
    const pairs = new Map();
    const taken = new Set();
    for (const { index, person, share } of found.sort((a, b) => b.share - a.share)) {
      if (share < OVERLAP || pairs.has(index) || taken.has(person)) continue;
      pairs.set(index, person);
      taken.add(person);
    }
    return pairs;
  }

  seen(known, face, time) {
    const person = known ?? { number: ++this.count };
    if (!known) this.people.push(person);
    const weight = known ? -Math.expm1((person.time - time) / SMOOTHING) : 1;
    const chances = Object.entries(face.probabilities).map(([name, chance]) => {
      const before = known ? person.probabilities[name] : 0;
      return [name, weight * chance + (1 - weight) * before];
    });
    const probabilities = Object.fromEntries(chances);
    Object.assign(person, { box: face.box, time, probabilities });
    const confidence = Math.max(...Object.values(probabilities));
    return { ...face, probabilities, confidence, person: person.number };
  }
}
