"""The order of the expressions, their names in the wild, merges and subsets."""

import re

import pytest

from fer_utils.config import FerError
from fer_utils.labels import (
    ALIASES,
    COLOURS,
    EMOTIONS,
    class_map,
    code,
    parse_classes,
)


def test_order_is_that_of_the_csv():
    # Kaggle: 0=Angry, 1=Disgust, 2=Fear, 3=Happy, 4=Sad, 5=Surprise, 6=Neutral
    assert " ".join(EMOTIONS) == "angry disgust fear happy sad surprise neutral"
    assert list(EMOTIONS) != sorted(EMOTIONS), "as a folder listing would have it"


def test_every_expression_has_a_colour_of_its_own():
    assert tuple(COLOURS) == EMOTIONS and len(set(COLOURS.values())) == 7
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS.values())


def test_code():
    assert [code(name) for name in EMOTIONS] == list(range(7))
    assert code(" Happy ") == code("HAPPINESS") == 3
    assert {EMOTIONS[code(alias)] for alias in ALIASES} < set(EMOTIONS)


@pytest.mark.parametrize("name", ["", "bored", "3", "happy sad", "contempt"])
def test_unknown_expression(name):
    with pytest.raises(FerError, match=f"'{name}' is no expression; the seven are ang"):
        code(name)


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
        ("", "'' is no expression"),
        ("happy,,sad", "'' is no expression"),
        ("happy, sad,", "'' is no expression"),
        ("happy, +sad", "'' is no expression"),
        ("happy; sad", "'happy; sad' is no expression"),
    ],
)
def test_wrong_classes(spec, problem):
    with pytest.raises(FerError, match=re.escape(problem)):
        parse_classes(spec)


def test_class_map():
    assert list(class_map(EMOTIONS)) == list(range(7))
    classes = parse_classes("angry+disgust, neutral, happy")
    assert list(class_map(classes)) == [0, 0, -1, 2, -1, -1, 1]
