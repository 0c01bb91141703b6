"""Exercises of notebook 6: right answers pass, others are told what is wrong."""

import numpy as np
import pytest
from PIL import Image, ImageOps

import fer_utils as fer
from fer_utils.evaluation.stress import Stress

CARD = [
    Stress("as they are", None, 0.70, 0.65, 0.75, 300),
    Stress("blur", 1, 0.66, 0.61, 0.71, 300),
    Stress("blur", 2, 0.50, 0.44, 0.56, 300),
    Stress("turn", 15, 0.62, 0.57, 0.67, 300),
    Stress("size", 12, 0.30, 0.25, 0.35, 300),
]


def test_looks_until_sure():
    assert fer.check("6.1", 5) and fer.check("6.1", 5.0)
    assert "too small" in fer.check("6.1", 4).text
    assert "too large" in fer.check("6.1", 6).text
    assert "one number" in fer.check("6.1", "five").text


def for_the_dark_alone(photo):
    dark = np.asarray(photo).max() < 50
    return ImageOps.autocontrast(photo) if dark else Image.new("RGB", photo.size)


@pytest.mark.parametrize(
    ("repair", "remark"),
    [
        (ImageOps.autocontrast, ""),
        (ImageOps.equalize, ""),
        (lambda photo: photo, "the dark photo's answer is not *happy*"),
        (ImageOps.invert, "the dark photo"),
        (for_the_dark_alone, "usual photo"),
        (lambda photo: ImageOps.autocontrast(photo).resize((99, 99)), "another size"),
        (lambda photo: None, "not NoneType"),
        (lambda photo: photo.lighter(), "stopped with AttributeError"),
        (Image.new("L", (9, 9)), "the function itself, not Image"),
    ],
)
def test_repair_the_dark(repair, remark):
    verdict = fer.check("6.2", repair)
    assert bool(verdict) == (not remark) and remark in verdict.text


@pytest.mark.parametrize(
    ("axes", "remark"),
    [
        ({"blur", "size"}, ""),
        (["size", "blur"], ""),
        ({"size"}, "1 missing"),
        ({"blur", "size", "turn"}, "1 too many"),
        (set(), "2 missing"),
        ({"rain"}, "'rain' is no axis"),
        ("blur", "a set of names"),
        (3, "a set of names"),
    ],
)
def test_beyond_doubt(axes, remark):
    verdict = fer.check("6.3", axes, card=CARD)
    assert bool(verdict) == (not remark) and remark in verdict.text
    assert "card=card" in fer.check("6.3", axes).text
