"""Numbers as people write them."""

import pytest

from fer_utils.formats import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0034, "3.4 ms"),
        (1, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
