"""The seven expressions in FER2013's own order, their colours, merges and subsets."""

import numpy as np

from .config import FerError

# Order of the codes in the CSV. Folder listings sort alphabetically (neutral before
# sad, sad before surprise): never take the order from a listing.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# Okabe-Ito, told apart by every kind of colour vision; one colour per expression
# in every figure, widget and page.
COLOURS = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#7F7F7F",
}

# Names met in the wild, for folders and votes.
ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


def code(name: str) -> int:
    """Return the FER2013 code (0..6) of an expression name; `FerError` if unknown."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key not in EMOTIONS:
        raise FerError(
            f"{name.strip()!r} is no expression; the seven are {', '.join(EMOTIONS)}"
        )
    return EMOTIONS.index(key)


def parse_classes(spec: str) -> tuple[str, ...]:
    """Read a class list: commas separate classes, `+` merges expressions into one.

    `"all"` is the seven; `"happy, sad, neutral"` a subset; `"angry+disgust, fear,
    happy, sad, surprise, neutral"` a merge. Returns canonical names in the given order.
    """
    if spec.strip() == "all":
        return EMOTIONS
    names = []
    for part in spec.split(","):
        codes = [code(name) for name in part.split("+")]
        names.append("+".join(EMOTIONS[c] for c in codes))
    used = [e for name in names for e in name.split("+")]
    if len(names) < 2 or len(set(used)) < len(used):
        raise FerError(f"classes {spec!r}: at least two, and no expression twice")
    return tuple(names)


def class_map(classes: tuple[str, ...]) -> np.ndarray:
    """Return int64 [7]: for each FER2013 code its class index, -1 where left out."""
    table = np.full(len(EMOTIONS), -1, np.int64)
    for index, name in enumerate(classes):
        for emotion in name.split("+"):
            table[code(emotion)] = index
    return table
