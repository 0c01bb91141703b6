"""The report: numbers from records alone, the same bytes every time, nothing stale."""

import ast
import json
import re
import shutil
import socket
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import typst

import ship
from fer_utils.data import load_fer2013
from fer_utils.errors import FerError
from fer_utils.models import load_model
from fer_utils.training import recipe
from report.build import __main__ as report
from report.build import effects, figures, tables, typeset
from report.build.facts import NOT_RUN, keep_data, read_facts

ROOT = Path(__file__).parents[1]
SHIPPED = load_model("fer2013-labels").metadata["recipe"]["name"]


@pytest.fixture(scope="module")
def facts():
    return read_facts()


@pytest.fixture
def house(tmp_path):
    """A copy of what `make report` reads and writes."""
    ignored = shutil.ignore_patterns("report.html", "report.pdf")
    shutil.copytree(ROOT / "report", tmp_path / "report", ignore=ignored)
    (tmp_path / "site").mkdir()
    for name in ("README.md", "pyproject.toml", "site/results.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_model_card_is_not_stale():
    card = (ROOT / "MODEL_CARD.md").read_text("utf-8")
    assert card == ship.current_card(), "run `python tools/ship.py --card`"


def test_nothing_is_stale():
    assert report.stale() == [], "run `make report`"


def test_every_figure_of_the_report_can_be_had(facts):
    template = (ROOT / "report" / "report.md").read_text("utf-8")
    used = re.findall(r'\bfigure\("(\w+)"', template)
    assert len(set(used)) == len(used)
    elsewhere = {"page", "strip"}
    made = (set(figures.FIGURES) | set(figures.SCREENSHOTS)) - elsewhere
    assert set(used) == made, "drawn, but not in the report, or the other way round"
    for name in used:
        path = ROOT / "report" / "images" / f"{name}.png"
        lacking = name in figures.FIGURES and figures.FIGURES[name].lacking(facts)
        assert path.exists() != bool(lacking), name


def test_the_paper_has_ten_pages_at_most(facts):
    source = typeset.markup(report.render(facts), ROOT / "report").encode()
    asked = {"root": ROOT / "report", "sys_inputs": {"keywords": ""}}
    found = typst.query(source, "<pages>", field="value", one=True, **asked)
    (page,) = json.loads(found)
    assert 5 < page <= 10


def test_every_fault_is_shown_by_a_line_of_code(facts):
    for fault in facts.references["fault"]:
        address = r"https://github\.com/[^/]+/[^/]+/blob/[0-9a-f]{40}/.+"
        assert re.fullmatch(address, fault["evidence"]), fault["what"]
        assert fault["line"] and fault["project"] in "ABCDE"


def test_the_effects_are_those_of_the_records(facts):
    found = {mark.what: mark for mark in effects.marks(facts, SHIPPED)}
    scores = facts.run(SHIPPED).scores("test")
    assert found["all images, two views"].share == scores.accuracy
    same, other, none, majority = list(found.values())[-4:]
    assert same.count + other.count == majority.count == scores.people.faces
    assert majority.count + none.count == scores.count
    sorted_ = sum(mark.share * mark.count for mark in (same, other, none))
    assert sorted_ / scores.count == pytest.approx(scores.accuracy, abs=1e-4)
    assert majority.share == pytest.approx(scores.people.agreement, abs=1e-4)
    label, people, count = effects.disputed(facts, SHIPPED)
    assert label == other.share and count == other.count and label + people <= 1
    alike, luck = (effects.luck_of_choice(facts, variants=v) for v in (False, True))
    assert alike[0] == 3 < luck[0] and 0.001 < alike[1] < luck[1] < 0.015


def test_sources_that_only_the_appendices_cite_are_listed(facts):
    text = report.render(facts)
    listed = {int(n) for n in re.findall(r"(?m)^(\d+)\. ", text)}
    groups = re.findall(r"\[(\d+(?:, \d+)*)\](?!\()", text)
    cited = {int(n) for group in groups for n in group.split(", ")}
    assert cited == listed and len(cited) > 20


def test_the_list_of_duplicates_agrees_with_the_audit(facts):
    lines = (ROOT / "report" / "duplicates.csv").read_text("utf-8").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    audit = facts.data["audit"]
    blank = [row for row in rows if row[3] == "1"]
    assert lines[0] == "file,row,group,blank" and len(blank) == audit["blank"]
    sizes = Counter(row[2] for row in rows)
    assert sum(size - 1 for size in sizes.values()) == audit["redundant"]
    trained = {row[2] for row in rows if row[0].startswith("train/")}
    for part, count in audit["copies"].items():
        assert sum(f"/{part}_" in r[0] and r[2] in trained for r in rows) == count
    labels = {(row[2], row[0].split("/")[1]) for row in rows}
    sides = Counter(group for group, _ in labels)
    assert sum(n > 1 for n in sides.values()) == audit["conflicting"]


def test_a_missing_run_says_so(house):
    before = report.render(read_facts(house), house)
    for path in house.glob(f"report/runs/{SHIPPED}*"):
        shutil.rmtree(path)
    facts = read_facts(house)
    text = report.render(facts, house)
    assert text.count(NOT_RUN) > before.count(NOT_RUN)
    assert f"{NOT_RUN}: needs {SHIPPED}" in text, "its figures"
    assert "images/confusion_matrix.png" not in text
    page = "site/results.md"
    results = report.page(facts, (house / page).read_text("utf-8"), page)
    assert re.search(rf"^\| `{SHIPPED}` .*{re.escape(NOT_RUN)}", results, re.MULTILINE)


def test_no_run_at_all_and_no_bench(house):
    shutil.rmtree(house / "report" / "runs")
    text = report.render(read_facts(house), house)
    assert text.count(NOT_RUN) > 100
    assert typeset.pdf(text, house).startswith(b"%PDF")


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("{", "", "damaged run record"),
        ('"macro_f1": 0', '"macro_f1": "good", "x": 0', "scores.val.macro_f1 = 'good'"),
        ('"train_loss"', '"loss"', "history.0.train_loss: Field required"),
        ('"confusion": [', '"confusion": [[1],', "the confusion matrix does not fit"),
        ('"hardware": {', '"hardware": {}, "x": {', "hardware.device: Field required"),
    ],
)
def test_a_damaged_record_is_named(house, old, new, why, capsys, monkeypatch):
    path = house / "report" / "runs" / SHIPPED / "run.json"
    spoil(path, old, new)
    monkeypatch.setattr("sys.argv", ["report", "--root", str(house)])
    monkeypatch.setattr(figures, "find_pixels", lambda: None)
    assert report.main() == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and str(path) in err and why in err
    assert out == "", "nothing was drawn"


def test_damaged_predictions_are_named(house, monkeypatch):
    path = house / "report" / "runs" / SHIPPED / "predictions.npz"
    path.write_bytes(b"no zip")
    facts = read_facts(house)
    with pytest.raises(FerError, match=re.escape(str(path))):
        figures.FIGURES["calibration"].draw(facts)


@pytest.mark.parametrize("name", ["references.toml", "data.json"])
def test_other_damaged_files_are_named(house, name):
    (house / "report" / name).write_text("[", "utf-8")
    with pytest.raises(FerError, match=name):
        read_facts(house)


def test_a_mistake_in_the_template_is_named(house):
    path = house / "report" / "report.md"
    path.write_text("# T\n{{ nothing_of_that_name }}", "utf-8")
    with pytest.raises(FerError, match=r"report\.md: 'nothing_of_that_name' is undef"):
        report.render(read_facts(house), house)


def test_make_twice_gives_the_same_bytes(house, monkeypatch, capsys):
    """Without a network; pictures that need FER2013 are kept, others of no run go."""
    some = ("class_counts", "emotions", "loss_info", "coverage", "resolution")
    chosen = {name: figures.FIGURES[name] for name in some}
    chosen["resolution"] = figures.Figure(figures.resolution, every=("no-such",))
    monkeypatch.setattr(figures, "FIGURES", chosen)
    monkeypatch.setattr(figures, "find_pixels", lambda: None)
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("network"))
    images = house / "report" / "images"
    kept = (images / "emotions.png").read_bytes()
    (images / "resolution.png").write_bytes(b"of a run that is gone")
    report.make(house)
    out = capsys.readouterr().out
    assert re.search(r"emotions +kept", out) and re.search(r"resolution +not run", out)
    assert not (images / "resolution.png").exists()
    assert (images / "emotions.png").read_bytes() == kept
    first = {p: p.read_bytes() for p in house.rglob("*") if p.is_file()}
    report.make(house)
    second = {p: p.read_bytes() for p in house.rglob("*") if p.is_file()}
    assert first.keys() == second.keys()
    assert [p.name for p in first if first[p] != second[p]] == []
    assert report.stale(house) == []
    spoil(house / "site" / "results.md", f"| `{SHIPPED}`", "| `a better one`")
    assert report.stale(house) == ["site/results.md"]


def test_page_and_pdf_hold_everything(facts):
    text = report.render(facts)
    page = typeset.web_page(text, ROOT / "report")
    assert not re.search(r'(?:src|href)="(?!data:|#|https://)', page)
    assert not re.search(r'<(?:script|link)|src="http|url\(', page), (
        "not self-contained"
    )
    assert page.count("<figure") == text.count("](images/")
    assert page.count("<caption>") == text.count("\nTable: ")
    for link in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{link}"' in page
    assert {"viewport", "max-width"} <= set(re.findall(r"viewport|max-width", page))


@pytest.mark.parametrize(
    "text",
    [
        "a_b #x $1 *n* @see <tag> [1] ~/x \\ `code` // /* =",
        "+ plus",
        "= is",
        "- a",
        "/ a: b",
        "== b",
    ],
)
def test_signs_that_mean_something_to_typst(text):
    """They are shown, not obeyed."""
    table = f"| {text} | b |\n|---|--:|\n| {text} | 2 |"
    markdown = f"# {text}\n\n{text}\n\n## {text}\n\n* {text}\n\n{table}\n"
    assert typeset.pdf(markdown, ROOT).startswith(b"%PDF")
    markup = typeset.markup(markdown, ROOT / "report").encode()
    for kind, count in {"heading": 1, "enum": 0, "terms": 0, "table": 1}.items():
        found = typst.query(markup, kind, sys_inputs={"keywords": ""})
        assert len(json.loads(found)) == count, kind


def test_comments_are_dropped_and_tags_are_text():
    page = typeset.web_page("# T\n\nA <!-- no\n\nmore --> and <b>.\n", ROOT)
    assert "no" not in re.findall(r"\w+", page.partition("<body>")[2])
    assert "<p>A and &lt;b&gt;.</p>" in page


def test_references_are_complete(facts):
    projects = [p["letter"] for p in facts.references["project"]]
    assert projects == list("ABCDEFG")
    for figure in facts.references["figure"]:
        assert figure["project"] in projects
        assert ("value" in figure) != ("milliseconds" in figure)
        if figure["ours"] not in ("", "shipped"):
            assert recipe(figure["ours"], "cpu") and figure["part"] in ("val", "test")
    for peer in facts.references["peer"]:
        assert peer["cite"] in facts.references["source"]


def test_counts_of_the_data_are_those_of_the_contest(facts):
    data = facts.data
    assert sum(map(sum, data["counts"].values())) == 35_887
    assert data["audit"]["copies"]["PrivateTest"] == data["protocols"]["official"][0]
    assert 0.5 < data["agreement"]["all"] < 0.7


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4039, "40.39"), (0.595, "59.5"), (0.43, "43"), (0.737, "73.7"), (0.58, "58")],
)
def test_published_figures_keep_their_digits(value, text):
    assert tables.published(value) == f"{text}\N{NO-BREAK SPACE}%"


def test_the_expected_range(facts):
    assert tables.expected([0.694]) == "68 to 71\N{NO-BREAK SPACE}%"
    assert tables.expected([0.60, 0.64]) == "56 to 68\N{NO-BREAK SPACE}%"
    assert tables.expected([]) == NOT_RUN


def test_numbers_of_the_data_can_be_written_anew(tmp_path, monkeypatch):
    path = tmp_path / "data.json"
    path.write_text('{"agreement": {"all": 0.5}}', "utf-8")
    keep_data(load_fer2013("sample"), path)
    kept = json.loads(path.read_text("utf-8"))
    assert kept["agreement"] == {"all": 0.5}, "without votes, what was known stays"
    assert kept["protocols"].keys() == {"official", "course", "csv"}


def test_pixels_are_looked_for_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("network"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setattr(figures, "config", figures.config)
    assert figures.find_pixels() is None, "the tests' sample is no FER2013"
    empty = type("Empty", (), {"data": ""})
    monkeypatch.setattr(figures, "config", empty)
    assert figures.find_pixels() is None


def test_notebook_8_quotes_the_peers_of_the_report():
    """An installed package has no report/, so the notebook carries its own table."""
    path = ROOT / "notebooks" / "08_state_of_the_art.ipynb"
    cells = json.loads(path.read_text("utf-8"))["cells"]
    source = next(s for c in cells if "PEERS = {" in (s := "".join(c["source"])))
    table = source.partition("PEERS = ")[2].partition("\n}")[0] + "\n}"
    peers = tomllib.loads((ROOT / "report" / "references.toml").read_text("utf-8"))
    keys = ("value", "chosen", "views", "networks", "extra")
    held = [tuple(peer[key] for key in keys) for peer in peers["peer"]]
    assert sorted(ast.literal_eval(table).values()) == sorted(held)


def test_who_chose_is_shown_by_a_line_of_code():
    """For a record of one paper alone, the paper says it; the others published code."""
    peers = tomllib.loads((ROOT / "report" / "references.toml").read_text("utf-8"))
    book = (ROOT / "notebooks" / "08_state_of_the_art.ipynb").read_text("utf-8")
    shown = [peer for peer in peers["peer"] if "evidence" in peer]
    assert all(p in shown for p in peers["peer"] if p["chosen"] == "PrivateTest")
    for peer in shown:
        address = r"https://github\.com/[^/]+/[^/]+/blob/[0-9a-f]{40}/.+"
        assert re.fullmatch(address, peer["evidence"]), peer["what"]
        assert json.dumps(peer["line"])[1:-1] in book, "the notebook quotes it"
