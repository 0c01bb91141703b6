// What the page shows of an answer: boxes over the picture, a chip and bars per face.

const $ = (id) => document.getElementById(id);
const CROWD = 6; // with more faces than this, only the box of the chosen one is named
const UNSURE = "#7f7f7f";
const CHIP = 96; // px; two per CSS pixel

export const percent = (share) => `${Math.round(share * 100)}\u00a0%`;

/** Black or white, whichever can be read on `hex` (relative luminance as in WCAG). */
function textOn(hex) {
  const channels = hex.match(/\w\w/g).map((pair) => parseInt(pair, 16) / 255);
  const linear = channels.map((c) => (c > 0.04 ? ((c + 0.055) / 1.055) ** 2.4 : c / 12.9));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return luminance > 0.179 ? "#000" : "#fff";
}

/** One sentence for eyes and screen readers; `unsure` is any name without a colour. */
export function sentence(faces, colours) {
  if (!faces.length) {
    return "No face was found in this photo. Try one where the face is larger, sharper and turned to the camera.";
  }
  const { emotion, confidence, probabilities } = faces[0];
  const who = faces.length === 1 ? "One face" : `${faces.length} faces; the largest`;
  if (emotion in colours) return `${who}: ${emotion}, ${percent(confidence)}.`;
  const [first, second] = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  return `${who}: hard to read, perhaps ${first[0]}, perhaps ${second[0]}.`;
}

/** Return `count` elements `tag` in `parent`; those that stay keep their focus. */
function fit(parent, tag, className, count) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) {
    const child = document.createElement(tag);
    child.className = className;
    if (tag === "button") child.type = "button";
    parent.append(child);
  }
  return [...parent.children];
}

/** Faces as they are called when less confidence than `limit` (0..1) is `unsure`. */
export function judged(faces, limit) {
  return faces.map((face) => {
    const [name] = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1])[0];
    return { ...face, emotion: face.confidence < limit ? "unsure" : name };
  });
}

export class Picture {
  /** `colours`: expression -> hex, in the order of the bars. */
  constructor(colours) {
    this.colours = colours;
    this.clear();
  }

  clear() {
    this.faces = [];
    this.chosen = 0;
    this.draw({ width: 1, height: 1 });
  }

  /** Draw `faces` of `source` (image or canvas, `width` x `height` px). */
  show(faces, source, width, height, mirrored = false) {
    this.faces = faces;
    this.chosen = Math.min(this.chosen, Math.max(0, faces.length - 1));
    this.draw({ source, width, height, mirrored });
  }

  draw(picture) {
    this.picture = picture;
    this.drawBoxes(picture);
    this.drawChips(picture);
    this.drawBars();
  }

  /** Name, colour and press state shared by a face's box and chip. */
  dress(button, face, index) {
    const hex = this.colours[face.emotion] ?? UNSURE;
    button.style.setProperty("--colour", hex);
    button.style.setProperty("--on-colour", textOn(hex));
    const name = `${face.emotion}, ${percent(face.confidence)}`;
    button.setAttribute("aria-label", `Face ${index + 1}: ${name}`);
    button.setAttribute("aria-pressed", index === this.chosen);
    button.onclick = () => {
      this.chosen = index;
      this.draw(this.picture);
    };
  }

  drawBoxes({ width, height, mirrored }) {
    $("boxes").classList.toggle("many", this.faces.length > CROWD);
    const boxes = fit($("boxes"), "button", "box", this.faces.length);
    boxes.forEach((box, index) => {
      const face = this.faces[index];
      const [left, top, right, bottom] = face.box;
      const start = mirrored ? width - right : left;
      box.style.left = `${(100 * start) / width}%`;
      box.style.top = `${(100 * top) / height}%`;
      box.style.width = `${(100 * (right - left)) / width}%`;
      box.style.height = `${(100 * (bottom - top)) / height}%`;
      box.classList.toggle("low", top < 0.1 * height);
      box.classList.toggle("right", start > 0.6 * width);
      this.dress(box, face, index);
      const [name] = fit(box, "span", "", 1);
      name.textContent = `${face.emotion} ${percent(face.confidence)}`;
    });
  }

  drawChips({ source }) {
    const count = this.faces.length > 1 ? this.faces.length : 0;
    $("faces").hidden = !count;
    fit($("faces"), "button", "face", count).forEach((chip, index) => {
      const face = this.faces[index];
      this.dress(chip, face, index);
      const [canvas] = fit(chip, "canvas", "", 1);
      canvas.width = canvas.height = CHIP;
      const [left, top, right, bottom] = face.box;
      const crop = [left, top, right - left, bottom - top];
      canvas.getContext("2d").drawImage(source, ...crop, 0, 0, CHIP, CHIP);
    });
  }

  drawBars() {
    const face = this.faces[this.chosen];
    const names = Object.keys(this.colours);
    const rows = fit($("bars"), "li", "", names.length);
    const highest = face ? Math.max(...Object.values(face.probabilities)) : 2;
    rows.forEach((row, index) => {
      const name = names[index];
      const share = face?.probabilities[name] ?? 0;
      const [label, track, value] = fit(row, "span", "", 3);
      label.textContent = name;
      track.className = "track";
      const [bar] = fit(track, "i", "", 1);
      bar.style.setProperty("--colour", this.colours[name]);
      bar.style.setProperty("--share", `${100 * share}%`);
      value.textContent = face ? percent(share) : "–";
      row.className = share === highest ? "first" : "";
    });
    const place = `Face ${this.chosen + 1} of ${this.faces.length}`;
    $("which").textContent = this.faces.length > 1 ? `${place}: ${face.emotion}` : "";
  }
}
