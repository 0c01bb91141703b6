"""What other libraries say, quoted in our errors."""

import pickle

from fer_utils.errors import FerError, PhotoError, reason


def test_reason_is_one_short_line():
    assert reason(OSError("It broke. Ask\nyour administrator")) == "It broke"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 999))) <= 200


def test_photo_error_says_why():
    assert PhotoError("no photo").kind == "broken"
    error = PhotoError("4 pixels", "too_small")
    assert isinstance(error, FerError) and str(error) == "4 pixels"
    copy = pickle.loads(pickle.dumps(error))  # as from a pool's worker
    assert copy.kind == "too_small" and str(copy) == "4 pixels"
