"""The house stays in order: notebooks, links, dependencies (CONTRIBUTING.md)."""

import ast
import json
import re
import struct
import subprocess
import sys
import time
import tomllib
from base64 import b64decode
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

from sync import METADATA

ROOT = Path(__file__).parents[1]
COURSE = sorted(ROOT.glob("notebooks/*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("notebooks/solutions/*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ABSOLUTE = re.compile(
    r"(?<![\w.~/-])/(home|root|tmp|work|Users|private|opt|content)/|\b[A-Z]:\\\\?Users"
)
STALE_BAR = re.compile(r"\b\d?\d%\||\r")  # a bar that never reached 100%

each_notebook = pytest.mark.parametrize(
    "path", COURSE + SOLUTIONS, ids=lambda p: f"{p.parent.name}/{p.stem}"
)
each_lesson = pytest.mark.parametrize("path", COURSE, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def markdown(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def texts(output):
    """All text of an output: streams, plain text, HTML."""
    if output.output_type == "stream":
        return output.text
    return "\n".join(
        value
        for kind, value in output.get("data", {}).items()
        if kind.startswith("text") and isinstance(value, str)
    )


def test_sync_is_up_to_date():
    command = [sys.executable, ROOT / "tools" / "sync.py", "--check"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@each_notebook
def test_file(path):
    nb = read(path)
    nbformat.validate(nb)
    assert path.stat().st_size <= 300_000
    assert nb.metadata == METADATA, "`make sync` puts this right"
    assert not re.search(r'"(execution|ExecuteTime)": \{', path.read_text("utf-8"))


@each_notebook
def test_counts_and_outputs(path):
    cells = [cell for cell in code_cells(path) if cell.source.strip()]
    counts = [cell.execution_count for cell in cells]
    executed = counts == list(range(1, len(cells) + 1))
    assert executed or (path in SOLUTIONS and not any(counts)), counts
    if path in COURSE and cells:
        assert any(cell.outputs for cell in cells)
    for cell in cells:
        where = cell.source[:60]
        for output in cell.outputs:
            assert output.output_type != "error", where
            assert output.get("name") != "stderr", f"{where}: {output.text[:200]}"
            assert not ABSOLUTE.search(texts(output)), where
            assert not STALE_BAR.search(texts(output)), where
            data = output.get("data", {})
            assert not any("widget" in kind for kind in data), where
            if "image/png" in data:
                width = struct.unpack(">I", b64decode(data["image/png"])[16:20])[0]
                assert width <= 1200, f"{where}: {width} pixels wide"


@each_notebook
def test_no_price_is_taken_for_a_formula(path):
    """Two dollar signs in a text make a formula of what is between them."""
    said = [texts(output) for cell in code_cells(path) for output in cell.outputs]
    for text in [*markdown(path), *said]:
        assert not re.search(r"\d \$", text), "write dollars"


@each_notebook
def test_code(path):
    cells = code_cells(path)
    setups = [cell for cell in cells if "setup" in tags(cell)]
    assert setups == cells[:1], (
        "the setup cell is the first code cell, and the only one"
    )
    for cell in cells:
        lines = cell.source.splitlines()
        if not any(tag.startswith("source:") for tag in tags(cell)):
            assert len(lines) <= (8 if "setup" in tags(cell) else 25), cell.source
        for line in lines:
            assert len(line) <= 88 or "://" in line, line


@each_notebook
def test_nothing_escapes_nbval(path):
    for cell in code_cells(path):
        assert "NBVAL_" not in cell.source, "use tags, not comments"
        assert "nbval-skip" not in tags(cell)
        if "nbval-check-output" in tags(cell):
            assert any(texts(out) for out in cell.outputs), "would pass unchecked"


@each_lesson
def test_lesson_opens_and_ends_as_agreed(path):
    text = markdown(path)
    table = r"^\|? *You will learn *\| *Needs *\| *Produces *\| *Time"
    assert re.search(table, text[0], re.M | re.I), "no opening table in the first cell"
    headings = re.findall(r"^#+ +(.+)$", "\n".join(text), re.MULTILINE)
    wanted = ("recap", "exercises", "next")
    found = [w for h in headings for w in wanted if w in h.lower()]
    assert found[-3:] == list(wanted), headings


def test_every_lesson_has_its_solutions():
    assert [p.name for p in COURSE] == [p.name for p in SOLUTIONS]
    assert all(re.match(r"\d\d_[a-z_]+\.ipynb", p.name) for p in COURSE)


def test_dependencies_stand_once():
    extras = PROJECT["optional-dependencies"]
    lines = (ROOT / "environment.yml").read_text("utf-8").partition("dependencies:")[2]
    named = re.findall(r"^ *- *(.+?):?$", lines, re.MULTILINE)
    *conda, pins, editable = named
    assert {re.split("[<>=]", name)[0] for name in conda} == {"python", "pip"}
    assert pins == "-c constraints.txt"
    chosen = re.fullmatch(r"-e \.\[(.+)\]", editable)
    assert set(chosen[1].split(",")) <= set(extras)


def test_one_range_of_pythons():
    """Up to where PyTorch has wheels; pip would only say that it finds no torch."""
    conda = (ROOT / "environment.yml").read_text("utf-8")
    low, above = map(int, re.search(r"python>=3\.(\d+),<3\.(\d+)", conda).groups())
    assert PROJECT["requires-python"] == f">=3.{low}"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"(3, {low}) <= sys.version_info[:2] <= (3, {above - 1})" in makefile
    text = f"3.{low} to 3.{above - 1}"
    assert f"Python {text}" in makefile
    assert f"Python {text}" in (ROOT / "README.md").read_text("utf-8")


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {project['version']}\n" in citation
    assert f"repository-code: {project['urls']['Repository']}\n" in citation


def test_tested_versions_meet_the_floors():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    installed = PROJECT["dependencies"] + extras["lab"] + extras["test"]
    for requirement in map(Requirement, installed):
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    for requirement in map(Requirement, PROJECT["dependencies"]):
        operators = {spec.operator for spec in requirement.specifier}
        assert operators == {">="}, f"{requirement}: Colab needs floors only"


# Packages whose modules have another name.
MODULES = {
    "IPython": "ipykernel",  # which depends on it
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
}


def test_what_the_package_imports_is_declared():
    extras = PROJECT["optional-dependencies"].values()
    declared = {Requirement(line).name for line in sum(extras, PROJECT["dependencies"])}
    for path in ROOT.glob("fer_utils/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in (name.partition(".")[0] for name in names):
                known = MODULES.get(name, name.replace("_", "-"))
                own = name in sys.stdlib_module_names
                assert own or known in declared, f"{path.name} imports {name}"


def taught():
    """The rows of CONTRIBUTING's table: project, teaching, notebook, line of code."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.findall(r"^\| ([A-G, ]+) \| (.+?) \| (\d\d) \| `(.+)` \|$", text, re.M)
    assert {letter for row in found for letter in row[0].split(", ")} == set("ABCDEFG")
    return found


@pytest.mark.parametrize("row", taught(), ids=lambda row: f"{row[0]} {row[1]}")
def test_the_learner_does_what_the_projects_teach(row):
    (path,) = (path for path in COURSE if path.name.startswith(row[2]))
    assert any(row[3] in cell.source for cell in code_cells(path)), row


def test_every_text_is_utf8_and_says_so():
    """Without an encoding Windows takes its own, which lacks →, − and most names."""
    for path in tracked("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            given = {keyword.arg for keyword in call.keywords}
            written = ast.unparse(call)
            where = f"{path.name}:{call.lineno}: {written}"
            if name in ("read_text", "write_text"):
                wanted = 1 if name == "read_text" else 2
                assert "encoding" in given or len(call.args) >= wanted, where
            elif re.match(r"(?:(?!tarfile|av\b)\w+\.)?open\(.*'[rwa]\+?'", written):
                assert "encoding" in given, where
            elif name in ("run", "Popen", "check_output", "call"):
                assert "text" not in given, f"{where}: name the encoding instead"


def test_links_resolve():
    pages = [(path, path.read_text("utf-8")) for path in tracked("*.md")]
    pages += [(path, "\n".join(markdown(path))) for path in COURSE + SOLUTIONS]
    for path, text in pages:
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)", text):
            target = "".join(link).partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_no_private_index_is_named():
    pattern = re.compile(
        r"(extra-)?index-url\b|find-links|trusted-host|://\S+/simple\b"
    )
    for path in tracked("*"):
        if path != Path(__file__) and path.suffix in {
            "",
            ".md",
            ".toml",
            ".txt",
            ".yml",
        }:
            found = pattern.search(path.read_text(errors="replace", encoding="utf-8"))
            assert not found, f"{path.name}: {found[0]}"


def tracked(pattern):
    """Files of the repository that match, untracked but not ignored ones included."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", pattern]
    try:
        names = subprocess.check_output(
            command, cwd=ROOT, encoding="utf-8"
        ).splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git repository here")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.alone
def test_import_is_quick():
    """`import fer_utils` within 2 s (best of three), and without torch's weight."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import fer_utils"], check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"import_seconds": round(min(seconds), 2)}))
    assert min(seconds) <= 2, seconds
