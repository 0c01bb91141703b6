"""What people call the parts of FER2013: in folders, in files, in the column Usage."""

import re
from itertools import pairwise
from pathlib import PurePosixPath

from .fer2013 import USAGES

SPLITS = dict.fromkeys(("train", "training"), USAGES[0])
SPLITS |= dict.fromkeys(("publictest", "val", "valid", "validation"), USAGES[1])
SPLITS |= dict.fromkeys(("privatetest", "test", "testing"), USAGES[2])


def usage_of(name: str) -> str | None:
    """Return the usage of a folder or cell, `Public Test` or `valid`; None if none."""
    return SPLITS.get(re.sub(r"[\s_-]", "", name).lower())


def usage_in(path: str) -> str | None:
    """Return the usage that a file's name tells, else its folders'; None if unsure."""
    for part in reversed(PurePosixPath(path).parts):
        words = re.findall("[a-z]+", part.lower())
        pairs = map("".join, pairwise(words))  # public_test
        for group in (pairs, words):
            found = {SPLITS[word] for word in group if word in SPLITS}
            if found:
                return found.pop() if len(found) == 1 else None
    return None
