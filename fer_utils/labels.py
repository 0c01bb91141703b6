"""The seven expressions in FER2013's own order, their colours, merges and subsets."""

import numpy as np

from .errors import FerError

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

NOTICE = (
    "These are perceived expressions, not feelings, and they are often wrong. In the "
    "EU, emotion recognition at work and in education is prohibited, except for "
    "medical and safety reasons; most other uses are high-risk there, and people must "
    "be told."
)  # AI Act, Art. 5(1)(f), Annex III and Art. 50; goes with every answer

UNSURE = "unsure"  # what a recogniser says when it should not guess

# Other names that folders and votes use, and how they are misspelt.
ALIASES = dict.fromkeys(("anger", "angery"), "angry")
ALIASES |= dict.fromkeys(("disgusted", "digust", "disgusting"), "disgust")
ALIASES |= dict.fromkeys(("fearful", "scared", "afraid"), "fear")
ALIASES |= dict.fromkeys(("happiness", "hapy", "happyness"), "happy")
ALIASES |= {"sadness": "sad"}
ALIASES |= dict.fromkeys(("surprised", "suprise", "suprised", "surprize"), "surprise")
ALIASES |= dict.fromkeys(("neutrality", "netural", "nuetral"), "neutral")


def emotion_code(name: str) -> int:
    """Return the FER2013 code (0..6) of an expression name; `FerError` if unknown."""
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key not in EMOTIONS:
        known = ", ".join(EMOTIONS)
        raise FerError(f"{name.strip()!r} is not an expression; use one of {known}")
    return EMOTIONS.index(key)


def parse_classes(spec: str) -> tuple[str, ...]:
    """Read a class list: commas separate classes, `+` merges expressions into one.

    `"all"` is the seven; `"happy, sad, neutral"` a subset; `"angry+disgust, fear,
    happy, sad, surprise, neutral"` a merge. Returns canonical names in the given order.
    """
    if spec.strip() == "all":
        return EMOTIONS
    classes = [[emotion_code(e) for e in part.split("+")] for part in spec.split(",")]
    used = [code for codes in classes for code in codes]
    if len(classes) < 2 or len(set(used)) < len(used):
        raise FerError(f"classes {spec!r}: name at least two, and no expression twice")
    return tuple("+".join(EMOTIONS[code] for code in codes) for codes in classes)


def class_map(classes: tuple[str, ...]) -> np.ndarray:
    """Return int64 [7]: the class index of each FER2013 code, -1 where left out."""
    places = {emotion_code(e): i for i, c in enumerate(classes) for e in c.split("+")}
    return np.array([places.get(code, -1) for code in range(len(EMOTIONS))], np.int64)


def class_colour(name: str) -> str:
    """Return #RRGGBB: the colour of the first expression, neutral's for "unsure"."""
    return COLOURS.get(name.partition("+")[0], COLOURS["neutral"])
