"""`fer score`: anybody's predictions, in any order, and what is wrong with a file."""

import numpy as np
import pandas as pd
import pytest

from fer_utils.apps.score_file import read_predictions, score_file
from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.labels import EMOTIONS


@pytest.fixture(scope="module")
def data():
    return load_fer2013("sample")


@pytest.fixture
def chances(data):
    test = data.split().test
    found = np.random.default_rng(0).dirichlet([0.3] * 7, len(test))
    found[:20] = np.eye(7)[test.labels[:20]]
    return found


def table(chances, **others) -> pd.DataFrame:
    return pd.DataFrame(chances, columns=EMOTIONS).assign(**others)


def test_probabilities_in_order(data, chances, tmp_path):
    path = tmp_path / "p.csv"
    table(chances).to_csv(path, index=False)
    found, given = read_predictions(path, data.split().test)
    assert given and np.allclose(found, chances)
    said = score_file(path, data, "test")
    share = (chances.argmax(1) == data.split().test.labels).mean()
    assert f"{100 * share:6.1f} %   95 %: " in said and "calibration error" in said
    assert "Not compared with people: no path given" in said


def test_columns_and_rows_in_any_order(data, chances, tmp_path):
    test = data.split().test
    names = [name.replace("/", "\\") for name in test.names]
    mixed = table(chances, Name=names, split="x").sample(frac=1, random_state=0)
    renamed = mixed.rename(columns={"happy": " Happiness", "sad": "SADNESS"})
    renamed[list(renamed.columns[::-1])].to_csv(tmp_path / "p.csv", index=False)
    found, _ = read_predictions(tmp_path / "p.csv", test)
    assert np.allclose(found, chances)


@pytest.mark.parametrize("words", [True, False])
def test_answers_alone(words, data, chances, tmp_path):
    codes = chances.argmax(1)
    said = np.array(EMOTIONS)[codes] if words else codes.astype(float)
    pd.DataFrame({"prediction": said}).to_csv(tmp_path / "p.csv", index=False)
    found, given = read_predictions(tmp_path / "p.csv", data.split().test)
    assert not given and np.array_equal(found.argmax(1), codes)
    assert "calibration" not in score_file(tmp_path / "p.csv", data, "test")


def spoilt(kind: str, chances, names) -> pd.DataFrame:
    good = table(chances, name=names)
    if kind == "short":
        return table(chances[:-1])
    if kind == "twice":
        good.loc[1, "name"] = good.loc[0, "name"]
    if kind == "lacking":
        return good[1:]
    if kind == "gap":
        good.loc[3, "fear"] = np.nan
    if kind == "words":
        good["fear"] = "much"
    if kind == "sums":
        good["fear"] += 3
    if kind == "columns":
        return good.drop(columns="fear")
    if kind == "names":
        return pd.DataFrame({"prediction": ["bored" * 50] * len(good)})
    if kind == "codes":
        return pd.DataFrame({"prediction": [7] * len(good)})
    return good


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("short", "rows, but the part has .* images; add a column `name`"),
        ("twice", "appears twice"),
        ("lacking", "no row for 1 images, such as"),
        ("gap", "line 5: seven numbers are needed"),
        ("words", "line 2: seven numbers are needed"),
        ("sums", "not probabilities: each row must sum to 1"),
        ("columns", "give seven columns named angry, .*or a column `prediction`"),
        ("names", "line 2: '.{1,60}' is not an expression"),
        ("codes", "line 2: code 7; use 0 to 6"),
    ],
)
def test_spoilt_tables_are_named(kind, message, data, chances, tmp_path):
    names = data.split().test.names
    spoilt(kind, chances, names).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(FerError, match=message):
        score_file(tmp_path / "p.csv", data, "test")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"\x00" * 99, b'"a'])
def test_files_that_are_no_table(content, data, tmp_path, fer):
    path = tmp_path / "p.csv"
    if content is not None:
        path.write_bytes(content)
    code, said, error = fer("score", path, "--data", "sample")
    assert code == 1 and not said and error.count("\n") == 1 and "p.csv" in error
    code, _, error = fer("score", path, "--data", "sample", "--part", "train")
    assert code == 1 and "use val or test" in error
