"""tools/sync.py and tools/course.py on a small project of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import find_data, lean_table, tidy
from fer_utils.errors import FerError
from sync import EXTRAS, METADATA, package_source, sync

ROOT = Path(__file__).parents[1]
SOURCE = """\
import functools

N = 3


@functools.cache
def f(x):
    return x


M = 4
"""


@pytest.fixture
def project(tmp_path):
    """A repository with one package, one lesson and a README."""
    for folder in ("pkg", "notebooks/solutions"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "pkg" / "mod.py").write_text(SOURCE, "utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.3"\n'
        '[project.urls]\nRepository = "https://github.com/me/it"\n',
        "utf-8",
    )
    (tmp_path / "README.md").write_text(
        "# It\n<!-- course -->\n<!-- /course -->\n", "utf-8"
    )
    cells = [
        new_markdown_cell("# 1 · Look\n\n> What is | in it.\n\n| a | b |"),
        new_code_cell("", metadata={"tags": ["source:pkg.mod.f"]}),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "01_look.ipynb")
    return tmp_path


def test_sync_fills_and_settles(project):
    readme, lesson = project / "README.md", project / "notebooks" / "01_look.ipynb"
    assert sync(project, check=True) == [lesson, readme]
    assert "me/it" not in readme.read_text("utf-8"), "--check writes nothing"
    assert sync(project) == [lesson, readme]
    assert sync(project) == []
    opening, setup, source = nbformat.read(lesson, as_version=4).cells
    assert "github/me/it/blob/main/notebooks/01_look.ipynb" in opening.source
    assert (
        '"fer-utils[course] @ https://github.com/me/it/archive/refs/heads/main.zip"'
        in (setup.source)
    )
    assert setup.source.endswith('fer.setup("1.2.3")')
    assert source.source == "@functools.cache\ndef f(x):\n    return x"
    assert (
        "[1 · Look](notebooks/01_look.ipynb) | What is \\| in it."
        in readme.read_text("utf-8")
    )


def test_setup_installs_the_extras_that_it_is_tagged_with(project):
    lesson = project / "notebooks" / "01_look.ipynb"
    sync(project)
    nb = nbformat.read(lesson, as_version=4)
    assert '"fer-utils[course] @ ' in nb.cells[1].source
    assert '["fer_utils", "torch"]' in nb.cells[1].source
    nb.cells[1].metadata.tags += ["extra:demo"]
    nbformat.write(nb, lesson)
    assert lesson in sync(project)
    source = nbformat.read(lesson, as_version=4).cells[1].source
    assert '"fer-utils[course,demo] @ ' in source
    assert '["fer_utils", "torch", "anywidget"]' in source


def test_the_module_that_tells_of_an_extra_comes_with_that_extra_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    brought = {"": project["dependencies"], **project["optional-dependencies"]}
    names = {
        extra: {re.split(r"[<>=;\[ ]", line)[0] for line in lines}
        for extra, lines in brought.items()
    }
    for extra, module in EXTRAS.items():
        (distribution,) = packages_distributions()[module]
        assert [e for e, found in names.items() if distribution in found] == [extra]


def test_sync_names_what_it_cannot_find(project):
    with pytest.raises(FerError, match=r"pkg/mod\.py defines no g"):
        package_source(project, "pkg.mod.g")
    with pytest.raises(FerError, match=r"there is no pkg/gone\.py"):
        package_source(project, "pkg.gone.f")


def write_lesson(project, name, *sources):
    """Write notebooks/<name>.ipynb with a title, a section and these code cells."""
    cells = [new_markdown_cell("# T\n\n## 1. Divide"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), project / "notebooks" / f"{name}.ipynb")


def run_course(project, *options, **env):
    command = [sys.executable, "tools/course.py", *options]
    spoken = env.get("PYTHONIOENCODING", "utf-8")
    return subprocess.run(
        command,
        cwd=project,
        env=os.environ | env,
        capture_output=True,
        encoding=spoken,
    )


# An English Windows: files and streams in its code page, unless told otherwise.
CODE_PAGE = {
    "PYTHONIOENCODING": "cp1252",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "LC_ALL": "C",  # here: ASCII
}


def test_tools_where_utf8_is_not_the_habit(project):
    text = "a → b − √"
    write_lesson(project, "02_signs", f"print('{text}')", f"raise ValueError('{text}')")
    command = [sys.executable, "-X", "warn_default_encoding", "tools/sync.py"]
    env = os.environ | CODE_PAGE
    done = subprocess.run(command, cwd=project, env=env, capture_output=True)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert b"EncodingWarning" not in done.stderr, done.stderr
    lesson = project / "notebooks" / "02_signs.ipynb"
    assert text in lesson.read_text("utf-8") and b"\r" not in lesson.read_bytes()
    setup = nbformat.read(lesson, as_version=4)
    del setup.cells[1]  # this project has no package to set up
    nbformat.write(setup, lesson)
    done = run_course(project, "02", **CODE_PAGE)
    assert done.returncode == 1
    assert "ValueError: a ? b ? ?" in done.stderr and "Traceback" not in done.stderr
    page = project / "build" / "course" / "02_signs.html"
    assert text in page.read_text("utf-8")


def result(project, name):
    """What a lesson's last cell wrote: (stream or type of output, text)."""
    nb = nbformat.read(project / "build" / "course" / f"{name}.ipynb", as_version=4)
    return [(out.get("name"), out.get("text")) for out in nb.cells[-1].outputs]


@pytest.mark.parametrize(
    ("name", "written", "shown"),
    [
        ("stdout", "plain\n\ntext \n", [("stdout", "plain\n\ntext\n")]),
        ("stderr", "\r 0%|  |\r 50%|# |\r100%|##|\n", [("stdout", "100%|##|\n")]),
        ("stderr", "\r 0%|  |\r100%|##|\r        \r", []),
        ("stderr", "\r 9%| |\r    \rA: b\n\n  c\n", [("stderr", "A: b\n  c\n")]),
    ],
)
def test_tidy_shows_what_a_terminal_shows_in_the_end(name, written, shown):
    """Written in one go, or letter by letter."""
    for pieces in ([written], written):
        outputs = [new_output("stream", name=name, text=text) for text in pieces]
        nb = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
        tidy(nb, {})
        assert [(out.name, out.text) for out in nb.cells[0].outputs] == shown


def test_a_table_without_styles_of_its_own_is_stored_short():
    table = pd.DataFrame({"share": [0.25]}, index=["angry"]).style
    found = lean_table(table.format("{:.0%}")._repr_html_())
    assert "<th>angry</th><td>25%</td>" in found
    assert not {"id=", "class=", "style", "\n"} & {*re.findall(r"\w+=|style|\n", found)}
    coloured = table.highlight_max()._repr_html_()
    assert lean_table(coloured) == coloured
    plain = table.data._repr_html_()
    assert lean_table(plain) == plain


def test_tidy_leaves_what_belongs_into_git():
    widget = "application/vnd.jupyter.widget-view+json"
    outputs = [
        new_output("stream", name="stderr", text="\r 0%| |"),
        new_output("stream", name="stdout", text="from /secret/data.zip\n"),
        new_output("stream", name="stderr", text="\r100%|#|\nUserWarning: mind\n"),
        new_output("display_data", {widget: {"model_id": "1"}}),
        new_output("display_data", {widget: {}, "text/plain": "VBox(children=())"}),
        new_output("display_data", {widget: {}, "text/plain": "in /secret/data.zip"}),
        new_output("stream", name="stdout", text="after it\n"),
    ]
    cells = [
        new_code_cell("x", outputs=outputs, metadata={"execution": {}, "tags": ["a"]}),
        new_markdown_cell("x", metadata={"editable": True}),
    ]
    nb = new_notebook(cells=cells, metadata={"widgets": {}})
    tidy(nb, {"/secret/data.zip": "data.zip"})
    nbformat.validate(nb)
    shown = [out.get("text") or dict(out.data) for out in cells[0].outputs]
    assert shown == [
        "100%|#|\n",
        "UserWarning: mind\n",
        "from data.zip\n",
        {"text/plain": "in data.zip"},
        "after it\n",
    ]
    assert [out.get("name") for out in cells[0].outputs][:2] == ["stdout", "stderr"]
    assert nb.metadata == METADATA
    assert cells[0].metadata == {"tags": ["a"]} and cells[1].metadata == {}


def test_course_goes_on_after_a_failure_and_names_it(project):
    write_lesson(project, "01_look", "", "1 / 0", "2 / 0")
    write_lesson(project, "02_on", "import os; os.getcwd()")
    done = run_course(project)
    assert done.returncode == 1
    assert "FAILED: 01_look.ipynb, code cell 2, section “1. Divide”" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "1 of 2 notebooks ran through" in done.stdout
    page = (project / "build" / "course" / "02_on.html").read_text(encoding="utf-8")
    assert "notebooks" in page and str(project) not in page


BARS = """\
from tqdm.auto import tqdm
for i in tqdm(range(2), desc="all", mininterval=0):
    for _ in tqdm(range(3), desc="some", mininterval=0, leave=i == 0):
        pass
    tqdm.write("tell")
    print("say")
"""


def test_course_on_drawn_faces_is_quick_and_keeps_bars_as_they_ended(project):
    write_lesson(project, "01_look", BARS)
    write_lesson(
        project, "solutions/01_look", "import os; print(os.getenv('FER_PROFILE'))"
    )
    done = run_course(project, "notebooks/01", "solutions", FER_PROFILE="")
    assert done.returncode == 0, done.stderr
    (name, text), *others = result(project, "01_look")
    assert name == "stdout" and not others
    lines = [line.partition("|")[0] for line in text.splitlines()]
    assert lines == ["some: 100%", "all: 100%", "tell", "say", "tell", "say"]
    assert "FER_PROFILE=quick" in done.stdout and "set FER_DATA" in done.stdout
    assert result(project, "solutions/01_look") == [("stdout", "quick\n")]


def test_drawn_faces_leave_a_chosen_profile_alone_and_are_not_committed(monkeypatch):
    monkeypatch.setenv("FER_PROFILE", "cpu")
    monkeypatch.setenv("FER_DATA", "sample")
    find_data(in_place=False)
    assert os.environ["FER_PROFILE"] == "cpu"
    with pytest.raises(SystemExit, match="set FER_DATA"):
        find_data(in_place=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_course_stops_in_one_line_and_takes_the_kernel_along(project, number):
    cell = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))"
    write_lesson(project, "01_look", f"{cell}\ntime.sleep(300)")
    command, pid = [sys.executable, "tools/course.py"], project / "notebooks" / "pid"
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE) as course:
        while not (pid.exists() and pid.read_text("utf-8")):
            assert course.poll() is None
            time.sleep(0.1)
        kernel = psutil.Process(int(pid.read_text("utf-8")))
        course.send_signal(number)
        errors = course.communicate(timeout=10)[1].decode()
    assert course.returncode == 128 + number
    bar, line = errors.splitlines()[-2:]
    assert line == "stopped" and "0/1 cells" in bar, errors
    assert "Traceback" not in errors
    kernel.wait(10)
