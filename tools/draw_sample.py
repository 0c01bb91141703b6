"""Draw the embedded sample: faces in FER2013's format, for when there is no network.

    python tools/draw_sample.py

No image is a photo: brows, lids and mouth carry the expression; identity, head pose,
light, blur and noise vary around it. `make_sample` plants faults that FER2013 has too,
for learners to find:

* `COPIED_TO_TESTS` of the images of either test set are copies of Training images,
* `COPIED_IN_TRAINING` of the Training images are copies of others, with the same label,
* `WRONG_LABELS` of the Training images show another expression than their label says,
* `CONFLICTS` Training images have the pixels of another one and a different label,
* `BLANKS` Training images show no face: one black, one white, one a grey ramp.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fer_utils.data.load import SAMPLE
from fer_utils.data.readers import Raw
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS

COPIED_TO_TESTS, COPIED_IN_TRAINING, WRONG_LABELS = 0.03, 0.02, 0.03  # shares
CONFLICTS, BLANKS = 1, 3  # images
AT_LEAST = 4  # images of each class in each split; disgust would often have none
SMALLEST = 70  # images in a split, to hold every class and the faults

# FER2013's own counts, in the order of EMOTIONS.
COUNTS = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}

# What a face does, away from neutral; two ways to do it for each expression, in the
# order of EMOTIONS. Brow ends, smile, jaw, teeth and sneer are lengths (half a face
# height is 1; up or open is positive), lid, squint and stretch shares of the eye and
# the mouth; furrow, the lines between the brows, runs from 0 to 1.
TABLE = """
         brow_in brow_out  lid squint smile  jaw stretch teeth sneer furrow
angry      -.13    .05    -.10   .4   -.06   .00   -.10   .00   .00    1
angry      -.13    .06     .05   .4   -.05   .20    .05   .12   .03    1
disgust    -.09   -.04    -.50   .8   -.06   .00   -.05   .00   .09   .7
disgust    -.10   -.02    -.40   .9   -.05   .10    .00   .08   .10   .7
fear        .13    .00     .50   .0   -.05   .12    .15   .05   .00   .4
fear        .14    .03     .55   .1   -.06   .20    .20   .09   .01   .3
happy       .00    .00    -.15   .6    .09   .00    .25   .00   .00    0
happy       .02    .02    -.20   .7    .10   .18    .35   .12   .00    0
sad         .11   -.07    -.35   .1   -.07   .00   -.05   .00   .00   .3
sad         .10   -.08    -.55   .4   -.09   .04    .05   .00   .00   .5
surprise    .13    .13     .50   .0    .00   .34   -.35   .00   .05    0
surprise    .12    .12     .45   .0    .00   .28   -.25   .04   .03    0
neutral     .00    .00     .00   .0    .00   .00    .00   .00   .00    0
neutral     .00    .00     .00   .1    .01   .00    .05   .00   .00   .1
"""
ACTIONS, *_rows = map(str.split, TABLE.strip().splitlines())
WAYS = np.array([row[1:] for row in _rows], float).reshape(7, 2, len(ACTIONS))

SIZE, SCALE = 48, 2  # drawn larger, then averaged down: smooth edges for little time
X = -np.cos(np.linspace(0, np.pi, 13))  # -1 to 1, densest where curves are steep
ARC = 1 - X**2
COS, SIN = np.cos(np.pi * np.arange(25) / 12), np.sin(np.pi * np.arange(25) / 12)


def make_sample(train=800, val=160, test=160, seed=0) -> Raw:
    """Draw a stand-in for FER2013 with the faults above; the same for the same seed."""
    sizes = dict(zip(COUNTS, (train, val, test), strict=True))
    if min(sizes.values()) < SMALLEST:
        raise FerError(f"sample of {sizes}: give every split {SMALLEST} images or more")
    rng = np.random.default_rng(seed)
    labels = np.concatenate([rng.permutation(_labels(s, n)) for s, n in sizes.items()])
    usage = np.repeat(list(sizes), list(sizes.values()))
    names = np.array([f"{split}_{i:05d}.png" for i, split in enumerate(usage)])
    # Each fault gets its own Training images; disgust is too rare to spare any.
    pile = rng.permutation(np.flatnonzero(labels[:train] != EMOTIONS.index("disgust")))
    many = [round(train * share) for share in (WRONG_LABELS, COPIED_IN_TRAINING)]
    many = [BLANKS, CONFLICTS, *many]
    blank, conflict, wrong, copied, _ = np.split(pile, np.cumsum(many))
    intact = np.setdiff1d(np.arange(train), pile[: sum(many)])
    shown = labels.copy()
    shown[wrong] = (labels[wrong] + rng.integers(1, 7, len(wrong))) % len(EMOTIONS)
    images = _render(_Faces(shown, rng))
    ramp = np.tile(np.linspace(0, 255, SIZE), (SIZE, 1))
    images[blank] = [np.zeros_like(ramp), np.full_like(ramp, 255), ramp]
    for split in ("PublicTest", "PrivateTest"):
        of = np.flatnonzero(usage == split)
        leaked = rng.choice(of, round(len(of) * COPIED_TO_TESTS), replace=False)
        copied = np.append(copied, leaked)
    for i in [*copied, *conflict]:
        same = labels[intact] == labels[i]
        images[i] = images[rng.choice(intact[same != (i in conflict)])]
    return Raw(images, labels, usage, names)


def _labels(split: str, total: int) -> np.ndarray:
    """Return sorted labels int64 [total]: FER2013's shares, `AT_LEAST` of each."""
    shares = np.array(COUNTS[split]) / sum(COUNTS[split])
    counts = np.maximum(np.round(total * shares).astype(int), AT_LEAST)
    while gap := total - counts.sum():
        counts[np.argmax(counts)] += np.sign(gap)  # the largest class feels it least
    return np.repeat(np.arange(len(EMOTIONS), dtype=np.int64), counts)


class _Faces:
    """N faces as outlines, in half face heights: x to the right, y down, 0 the centre.

    Each number of a face is a column [N, 1], each outline x, y an array [N, K]: numpy
    bends the outlines of all faces at once. `outlines` lists x, y, tone, shown and line
    width (0: filled), back to front; the first `soft` of them are to be blurred.
    """

    def __init__(self, labels: np.ndarray, rng: np.random.Generator):
        self.n, self.rng, self.outlines = len(labels), rng, []
        # One of the two ways, weak to strong, never pure and never twice the same.
        way, trace = WAYS[labels, rng.integers(0, 2, self.n)], rng.permutation(labels)
        way = way * self.some(0.35, 1.1) + WAYS[trace, 0] * self.some(0, 0.35)
        way *= rng.normal(1, 0.2, way.shape)
        self.act = dict(zip(ACTIONS, np.split(way, len(ACTIONS), axis=1), strict=True))
        for action in ("brow_in", "brow_out", "smile"):
            self.act[action] += self.some(-0.03, 0.03)
        self.wide, self.nose_w = self.some(0.72, 0.86), self.some(0.11, 0.15)
        self.eye_x, self.eye_w = self.some(0.3, 0.36), self.some(0.14, 0.18)
        self.skin = self.some(110, 220)
        self.hair = np.where(self.chance(0.25), self.some(110, 210), self.some(12, 70))
        self.dark = np.minimum(self.skin * 0.2, 32)
        self._head()
        self.soft = len(self.outlines)
        self._nose()
        self._mouth()
        glasses, thick = self.chance(0.12), self.some(0.02, 0.045)
        for side in (-1, 1):
            self._eye(side)
            self._brow(side, thick)
            x, y = side * self.eye_x + 0.23 * COS, -0.14 + 0.18 * SIN
            self.fill(x, y, self.dark, glasses, width=1)

    def some(self, low: float, high: float) -> np.ndarray:
        return self.rng.uniform(low, high, (self.n, 1))

    def chance(self, share: float) -> np.ndarray:
        return self.rng.random((self.n, 1)) < share

    def fill(self, x, y, tone, shown=True, width=0) -> None:
        """Add an outline, or a line; its arguments are broadcast to the N faces."""
        x, y, _ = np.broadcast_arrays(x, y, self.wide)
        self.outlines.append((x, y, tone, shown, width))

    def band(self, x, top, bottom, tone, shown=True) -> None:
        """Fill what lies between two edges that run over the same x."""
        x, top, bottom, _ = np.broadcast_arrays(x, top, bottom, self.wide)
        x, y = np.hstack([x, x[:, ::-1]]), np.hstack([top, bottom[:, ::-1]])
        self.fill(x, y, tone, shown)

    def _head(self) -> None:
        act, skin, wide, haired = self.act, self.skin, self.wide, self.chance(0.9)
        self.fill(wide * 1.12 * COS, -0.12 + 1.1 * SIN, self.hair, haired)
        self.band(wide * 1.2 * X, -0.2, 2, self.hair, self.chance(0.35) & haired)
        self.band(0.45 * X, 0.5, 2, skin * 0.6)
        down = np.maximum(SIN, 0)
        x = wide * COS * (1 - self.some(0.1, 0.3) * down**2)
        self.fill(x, SIN * (1 + 0.4 * act["jaw"] * down), skin)
        beard = self.chance(0.12)
        self.band(0.8 * wide * X, 0.45 + 0.1 * X**2, 1 - 0.5 * X**2, skin * 0.6, beard)
        for side in (-1, 1):  # sockets and cheeks
            self.fill(side * self.eye_x + 0.2 * COS, -0.18 + 0.15 * SIN, skin * 0.8)
            y = 0.2 - act["smile"] / 2 + 0.12 * SIN
            self.fill(side * 0.42 + 0.15 * COS, y, skin * 1.1)
        parting, lowest = self.some(-0.15, 0.15), self.some(-0.9, -0.55)
        top = -1.05 * np.sqrt(ARC)
        fringe = np.maximum(lowest + parting * X, top)
        self.band(1.02 * wide * X, top, fringe, self.hair, haired)

    def _nose(self) -> None:
        furrow, sneer, shade = self.act["furrow"], self.act["sneer"], self.skin * 0.6
        y, sneers = self.some(0.2, 0.28) - 0.4 * sneer, sneer > 0.045
        shaded = self.nose_w * np.where(self.chance(0.5), 1, -1)
        corners = np.hstack([0 * y - 0.2, 0 * y, y, y])
        self.fill(shaded * np.array([0.35, 0.4, 0.9, 0.1]), corners, self.skin * 0.8)
        for side in (-1, 1):
            nostril, wing, fold = (side * self.nose_w * k for k in (0.55, 1.1, 2))
            self.fill(nostril + 0.035 * COS, y + 0.022 * SIN, self.dark)
            self.fill(wing - 0.03 * side * X**2, y + 0.05 * X - 0.02, shade, width=1)
            self.fill(fold + 0.1 * side * X, y + 0.1 + 0.1 * X, shade, sneers, 1)
            self.fill(side * (0.07 + 0.05 * X), 0.04 * X, shade, sneers, 1)
            self.fill(side * (0.06 + 0.02 * X), 0.1 * X - 0.36, shade, furrow > 0.35, 1)

    def _mouth(self) -> None:
        act, lip = self.act, self.some(0.04, 0.07)
        x = self.some(0.25, 0.31) * (1 + act["stretch"]) * X
        middle = 0.55 - act["smile"] * (1.6 * X**2 - 0.6) + self.some(-0.02, 0.02) * X
        top = middle - act["sneer"] * ARC
        low = top + 1.2 * np.maximum(act["jaw"], 0) * np.sqrt(ARC)
        self.band(x, top - lip * ARC, low + 1.3 * lip * ARC, self.skin * 0.65)
        self.band(x, top - 0.015 * ARC, low + 0.015 * ARC, self.dark)
        teeth = np.minimum(top + act["teeth"], low)
        self.band(0.9 * x, top, teeth, 190 + self.skin * 0.2, act["teeth"] > 0.03)

    def _eye(self, side: int) -> None:
        act, w, level = self.act, self.eye_w, -0.16
        upper = np.maximum(0.7 * (1 + act["lid"]), 0.15) * w
        lower = np.maximum(0.5 * (1 - act["squint"]), 0.05) * w
        x = side * self.eye_x + w * X
        lash = level - upper * ARC
        self.band(x, lash, level + lower * ARC, 130 + self.skin * 0.4)
        # The lids cut the iris, so that only wide eyes show white all around it.
        across = 0.55 * COS
        room = 1 - across**2
        iris = np.clip(w * (0.6 * SIN - 0.1), -upper * room, lower * room)
        self.fill(side * self.eye_x + w * across, level + iris, self.dark)
        self.band(x, lash - 0.035, lash + 0.005, self.dark)
        bag = level + (lower + 0.05) * ARC
        self.fill(x, bag, self.skin * 0.62, act["squint"] > 0.2, width=1)

    def _brow(self, side: int, thick: np.ndarray) -> None:
        # X runs from the inner end (-1) to the outer end (1).
        inner, outer = self.act["brow_in"], self.act["brow_out"]
        x = self.eye_x + 0.02 + 0.2 * X + 0.06 * np.minimum(inner, 0) * (1 - X)
        y = -0.4 - inner * (1 - X) / 2 - outer * (1 + X) / 2 - 0.04 * ARC
        half = thick * (1 - 0.3 * X)
        self.band(side * x, y - half, y + half, np.minimum(self.hair, self.skin * 0.5))


def _render(faces: _Faces) -> np.ndarray:
    """Pose, ink, blur and light the faces: uint8 [N, 48, 48]."""
    n, rng, some = faces.n, faces.rng, faces.some
    roll, size = rng.normal(0, 0.1, (n, 1)), some(21.5, 27)
    yaw, pitch = rng.normal(0, 0.13, (n, 1)), rng.normal(0, 0.06, (n, 1))
    left, top = some(22, 26), some(22, 26)
    cos, sin = size * np.cos(roll), size * np.sin(roll)
    strokes = []
    for x, y, tone, shown, width in faces.outlines:
        # The head is a dome: what stands out most moves most when it turns.
        dome = np.sqrt(np.clip(1 - (x / faces.wide) ** 2 - y**2, 0, 1))
        x, y = x + yaw * dome, y + pitch * dome
        path = np.stack([left + cos * x - sin * y, top + sin * x + cos * y], -1)
        tone, shown, _ = np.broadcast_arrays(np.clip(tone, 0, 255), shown, left)
        columns = (SCALE * path).reshape(n, -1), tone[:, 0].astype(int), shown[:, 0]
        strokes.append((*(column.tolist() for column in columns), width))
    images = np.empty((n, SIZE, SIZE))
    behind, blur = some(10, 235), np.maximum(rng.normal(0.2, 0.35, n), 0).tolist()
    for i in range(n):
        image = Image.new("L", (SIZE * SCALE, SIZE * SCALE), int(behind[i, 0]))
        for k, (path, tone, shown, width) in enumerate(strokes):
            if k == faces.soft:
                image = image.filter(ImageFilter.GaussianBlur(2))
            if shown[i] and width:
                ImageDraw.Draw(image).line(path[i], tone[i], width)
            elif shown[i]:
                ImageDraw.Draw(image).polygon(path[i], tone[i])
        images[i] = image.reduce(SCALE).filter(ImageFilter.GaussianBlur(blur[i]))
    # Light falls from one side and fades where the dome turns away from us.
    at = np.arange(SIZE) + 0.5
    x, y = ((at - left) / size)[:, None, :], ((at - top) / size)[:, :, None]
    limits = (0, 2 * np.pi), (0.05, 0.4), (0.9, 1.25), (1, 6)
    turn, power, bright, grain = (some(*pair)[:, :, None] for pair in limits)
    images *= bright * (1 + power * (x * np.cos(turn) + y * np.sin(turn)))
    images *= 1.06 - 0.2 * (x**2 + y**2)
    images += grain * rng.standard_normal(images.shape, np.float32)
    return np.clip(images, 0, 255).astype(np.uint8)


def main() -> None:
    drawn = make_sample()
    np.savez_compressed(SAMPLE, **drawn._asdict())
    print(f"{SAMPLE}: {len(drawn.labels):,} images")


if __name__ == "__main__":
    main()
