"""FER+ votes: read, joined to the images, as shares for each class."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import kaggle, table
from tiny import tiny

from fer_utils.config import config
from fer_utils.data import VOTES, load_fer2013, majority, read_votes, vote_shares
from fer_utils.data import votes as module
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
HEADER += "contempt,unknown,NF\n"


@pytest.fixture(scope="module")
def sample():
    return load_fer2013("sample")


def ferplus(path: Path, count: int = 28) -> Path:
    lines = [
        f"Training,fer{i}.png,{i},0,0,0,0,0,0,0,0,{10 - i}\n" for i in range(count)
    ]
    path.write_text(HEADER + "".join(lines), "utf-8")
    return path


def test_votes_follow_the_rows(tmp_path):
    loaded = load_fer2013(table(tmp_path / "fer2013.csv"))
    votes = read_votes(loaded, ferplus(tmp_path / "fer2013new.csv", 20))
    assert votes.shape == (28, 10) and votes.dtype == np.int64
    assert list(votes[:20, 0]) == list(range(20))
    assert (votes[20:] == -1).all(), "no line for these"
    part = loaded.select(loaded.labels == 4)
    again = read_votes(part, tmp_path / "fer2013new.csv")
    assert np.array_equal(again, votes[loaded.labels == 4])


def test_votes_of_kaggles_files(sample, tmp_path):
    """Their rows come with the package; two names from the head of fer2013.csv."""
    names = ["train/fear/Training_64048399.jpg", "train/angry/Training_20326127.jpg"]
    loaded = replace(sample.select([0, 1, 2]), names=np.array([*names, "other.jpg"]))
    votes = read_votes(loaded, ferplus(tmp_path / "fer2013new.csv"))
    assert list(votes[:, 0]) == [2, 1, -1]
    assert len(np.unique(np.load(module.ROWS))) == 35_887


def test_votes_of_files(tmp_path, monkeypatch):
    loaded = load_fer2013(kaggle(tmp_path / "fer2013"))
    path = ferplus(tmp_path / "fer2013new.csv")
    with pytest.raises(FerError, match="load the CSV, or put a file-to-row table"):
        read_votes(loaded, path)
    rows = tmp_path / "fer2013_rows.csv"
    rows.write_text(f"row,file\n5,{loaded.names[0]}\n99,{loaded.names[1]}\n", "utf-8")
    monkeypatch.setattr(module, "config", replace(config, votes=str(path)))
    votes = read_votes(loaded)
    assert votes[0, 0] == 5 and (votes[1:] == -1).all()
    for wrong in ("file\nx\n", "row,file\nx,y\n", "row\n1\n", "file,row\nx\n"):
        rows.write_text(wrong, "utf-8")
        with pytest.raises(FerError, match=r"fer2013_rows\.csv: expected columns"):
            read_votes(loaded)


@pytest.mark.parametrize(
    "body",
    ["", HEADER, "a,b\n1,2\n3,4\n", HEADER + "a,b,1,2\n", HEADER + "x," * 12, "\xff"],
)
def test_no_votes_in_the_file(sample, tmp_path, body):
    path = tmp_path / "fer2013new.csv"
    path.write_text(body, encoding="latin-1")
    (tmp_path / "fer2013_rows.csv").write_text("row,file\n", "utf-8")
    with pytest.raises(FerError, match=r"fer2013new\.csv: expected ten vote columns"):
        read_votes(sample, path)


def test_no_votes(sample, tmp_path):
    for path in (None, tmp_path, tmp_path / "gone.csv"):
        with pytest.raises(FerError, match="point FER_VOTES at fer2013new"):
            read_votes(sample, path)


@pytest.fixture
def voted(monkeypatch):
    """Four images with votes made up for them."""
    data, votes = tiny(4), np.zeros((4, len(VOTES)), np.int64)
    votes[0, [VOTES.index("happy"), VOTES.index("sad")]] = 6, 2
    votes[1, VOTES.index("not a face")] = 10
    votes[2] = -1  # no line for this image
    votes[3, [VOTES.index("angry"), VOTES.index("contempt")]] = 5, 5
    monkeypatch.setattr(module, "read_votes", lambda data: votes)
    return data


def test_shares(voted):
    shares = vote_shares(voted)
    assert shares.shape == (4, 7) and shares.dtype == np.float32
    assert shares[0, EMOTIONS.index("happy")] == 0.75
    assert shares[0, EMOTIONS.index("sad")] == 0.25
    assert shares[3, EMOTIONS.index("angry")] == 1, "contempt is left out"
    for image in (1, 2):  # no vote: what FER2013 says
        assert shares[image, voted.labels[image]] == 1
    assert np.allclose(shares.sum(1), 1)


def test_shares_of_merged_and_of_few_classes(voted):
    labels = np.array([0, 1, 1, 0])
    merged = replace(voted, labels=labels, classes=("happy+sad", "fear"))
    assert vote_shares(merged).tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    few = replace(voted, labels=labels, classes=("sad", "angry"))
    assert vote_shares(few).tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]


def test_the_majority_counts_all_votes(voted):
    said, clear = majority(voted)
    assert EMOTIONS[said[0]] == "happy" and EMOTIONS[said[3]] == "angry"
    # Six of eight; none; no line; five of ten, which is not more than half.
    assert clear.tolist() == [True, False, False, False]


def test_shares_without_votes():
    with pytest.raises(FerError, match="point FER_VOTES at fer2013new"):
        vote_shares(tiny(4))
