"""The second yardstick: how often an answer is what ten people said (FER+ votes)."""

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from ..data import FER2013, VOTES, majority, read_votes
from ..errors import FerError
from ..labels import class_map, emotion_code
from .scores import Rounded, check_probabilities

SEEN = len(VOTES) - 2  # the first columns are expressions; two say what is none


class PeopleScores(BaseModel, frozen=True):
    """Agreement with FER+ votes; shares in 0..1.

    `agreement` is on the `faces` where more than half of all votes name one of our
    classes; `balanced` is the mean over these classes, however rare they are.
    `published` follows Barsoum et al. (2016, arXiv:1608.01041), on `published_faces`:
    single votes are dropped; the majority of the rest counts if it is above half and an
    expression. Contempt is one of theirs, so networks that do not know it are wrong
    there. `ceiling` is how often one more person says what the majority says.
    """

    faces: int
    agreement: Rounded
    balanced: Rounded
    per_class: dict[str, Rounded]
    published_faces: int
    published: Rounded
    ceiling: Rounded


class Published(NamedTuple):
    """The majority of the published protocol, and on which faces there is one."""

    column: np.ndarray  # int [N], of VOTES
    counts: np.ndarray  # bool [N]


def published_majority(votes: np.ndarray) -> Published:
    """Return the published protocol's majority of votes int [N,10]."""
    kept = np.where(votes > 1, votes, 0)
    column = kept.argmax(1)
    clear = kept.max(1) > kept.sum(1) / 2
    return Published(column, clear & (column < SEEN))


def one_more_person(votes: np.ndarray) -> float:
    """Return how often one of ten people says what most of the other nine say.

    `votes`: int [N,10] of faces with a clear majority; ties of the others count half.
    """
    agreed = np.zeros(len(votes))
    for column in range(votes.shape[1]):
        others = votes.copy()
        others[:, column] -= 1
        most = others.max(1)
        ties = (others == most[:, None]).sum(1)
        agreed += votes[:, column] * (others[:, column] == most) / ties
    return float(agreed.sum() / votes.sum())


def people_scores(probabilities: np.ndarray, data: FER2013) -> PeopleScores:
    """Score probabilities [N,classes] of `data` against FER+ votes.

    Raises `FerError` if they are no probabilities, when there are no votes (see
    `read_votes`), or no face on which most people agree.
    """
    check_probabilities(probabilities, data)
    said, clear = majority(data)
    if not clear.any():
        raise FerError("no image of this data has a clear majority of votes")
    answers = probabilities.argmax(1)
    right = answers == said
    votes = np.maximum(read_votes(data), 0)
    recalls = {
        name: right[clear & (said == code)].mean()
        for code, name in enumerate(data.classes)
        if (clear & (said == code)).any()
    }
    theirs = published_majority(votes)
    place = class_map(data.classes)[[emotion_code(name) for name in VOTES[: SEEN - 1]]]
    place = np.append(place, [-1] * (len(VOTES) - SEEN + 1))  # contempt and no face
    return PeopleScores(
        faces=clear.sum(),
        agreement=right[clear].mean(),
        balanced=np.mean(list(recalls.values())),
        per_class=recalls,
        published_faces=theirs.counts.sum(),
        published=(answers == place[theirs.column])[theirs.counts].mean(),
        ceiling=one_more_person(votes[clear]),
    )
