"""The order of the expressions, their other names, merges and subsets."""

import re

import numpy as np
import pytest

from fer_utils.errors import FerError
from fer_utils.labels import (
    ALIASES,
    COLOURS,
    EMOTIONS,
    UNSURE,
    class_colour,
    class_map,
    emotion_code,
    parse_classes,
)


def test_order_is_that_of_the_csv():
    # Kaggle: 0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral
    assert " ".join(EMOTIONS) == "angry disgust fear happy sad surprise neutral"
    assert list(EMOTIONS) != sorted(EMOTIONS), "as a folder listing would have it"


def test_every_expression_has_its_own_colour():
    assert tuple(COLOURS) == EMOTIONS and len(set(COLOURS.values())) == 7
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS.values())


def test_emotion_code():
    assert [emotion_code(name) for name in EMOTIONS] == list(range(7))
    assert emotion_code(" Happy ") == emotion_code("HAPPINESS") == 3
    assert {EMOTIONS[emotion_code(alias)] for alias in ALIASES} <= set(EMOTIONS)


@pytest.mark.parametrize("name", ["", "bored", "3", "happy sad", "contempt"])
def test_unknown_expression(name):
    with pytest.raises(FerError, match=f"'{name}' is not an expression; use one of an"):
        emotion_code(name)


@pytest.mark.parametrize(
    ("spec", "classes"),
    [
        ("all", EMOTIONS),
        (" all ", EMOTIONS),
        ("happy, sad, neutral", ("happy", "sad", "neutral")),
        ("neutral,happy", ("neutral", "happy")),
        ("Anger + disgust, fear", ("angry+disgust", "fear")),
        (",".join(EMOTIONS), EMOTIONS),
    ],
)
def test_parse_classes(spec, classes):
    assert parse_classes(spec) == classes


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("happy", "at least two"),
        ("angry+disgust", "at least two"),
        ("happy, happy", "no expression twice"),
        ("happy+sad, sad", "no expression twice"),
        ("happy, anger, angry", "no expression twice"),
        ("", "'' is not an expression"),
        ("happy,,sad", "'' is not an expression"),
        ("happy, sad,", "'' is not an expression"),
        ("happy, +sad", "'' is not an expression"),
        ("happy; sad", "'happy; sad' is not an expression"),
    ],
)
def test_wrong_classes(spec, problem):
    with pytest.raises(FerError, match=re.escape(problem)):
        parse_classes(spec)


def test_class_map():
    assert list(class_map(EMOTIONS)) == list(range(7))
    classes = parse_classes("angry+disgust, neutral, happy")
    assert list(class_map(classes)) == [0, 0, -1, 2, -1, -1, 1]
    assert class_map(classes).dtype == np.int64


def test_class_map_of_unknown_classes():
    with pytest.raises(FerError, match="'bored' is not an expression"):
        class_map(("happy", "sad+bored"))


def test_class_colour():
    assert [class_colour(name) for name in EMOTIONS] == list(COLOURS.values())
    assert class_colour("fear+surprise") == COLOURS["fear"]
    assert class_colour(UNSURE) == COLOURS["neutral"]
