"""tools/sync.py and tools/course.py on a small project of their own."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import clean, settle
from sync import SyncError, package_source, sync

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
    (tmp_path / "pkg" / "mod.py").write_text(SOURCE)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.3"\n'
        '[project.urls]\nRepository = "https://github.com/me/it"\n'
    )
    (tmp_path / "README.md").write_text("# It\n<!-- course -->\n<!-- /course -->\n")
    cells = [
        new_markdown_cell("# 1 · Look\n\n> What is | in it.\n\n| a | b |"),
        new_code_cell("", metadata={"tags": ["source:pkg.mod.f"]}),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "01_look.ipynb")
    return tmp_path


def test_sync_fills_and_settles(project):
    readme, lesson = project / "README.md", project / "notebooks" / "01_look.ipynb"
    assert sync(project, check=True) == [lesson, readme]
    assert "me/it" not in readme.read_text(), "--check writes nothing"
    assert sync(project) == [lesson, readme]
    assert sync(project) == []
    opening, setup, source = nbformat.read(lesson, as_version=4).cells
    assert "github/me/it/blob/main/notebooks/01_look.ipynb" in opening.source
    assert "archive/refs/tags/v1.2.3.zip" in setup.source
    assert source.source == "@functools.cache\ndef f(x):\n    return x"
    assert (
        "[1 · Look](notebooks/01_look.ipynb) | What is \\| in it." in readme.read_text()
    )


def test_setup_installs_the_extras_that_it_is_tagged_with(project):
    lesson = project / "notebooks" / "01_look.ipynb"
    sync(project)
    nb = nbformat.read(lesson, as_version=4)
    assert '"fer-utils @ ' in nb.cells[1].source
    nb.cells[1].metadata.tags += ["extra:demo"]
    nbformat.write(nb, lesson)
    assert lesson in sync(project)
    assert '"fer-utils[demo] @ ' in nbformat.read(lesson, as_version=4).cells[1].source


def test_sync_names_what_it_cannot_find(project):
    assert package_source(project, "pkg.mod.N") == "N = 3"
    with pytest.raises(SyncError, match=r"pkg/mod\.py defines no g"):
        package_source(project, "pkg.mod.g")
    with pytest.raises(SyncError, match=r"there is no pkg/gone\.py"):
        package_source(project, "pkg.gone.f")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain\n\ntext\n", "plain\n\ntext\n"),
        ("\r 0%|  |\r 50%|# |\r100%|##|\n", "100%|##|\n"),
        ("\r 0%|  |\r100%|##|\r        \r", ""),
        (
            "\rout 0%\n\rin 50%\x1b[A\n\rin 99%\x1b[A\n\r      \x1b[A\rout 9%\n",
            "out 9%\n",
        ),
    ],
)
def test_settle(written, shown):
    assert settle(written) == shown


def test_clean_leaves_what_belongs_into_git():
    widget = "application/vnd.jupyter.widget-view+json"
    outputs = [
        new_output("stream", name="stderr", text="\r 0%| |"),
        new_output("stream", name="stdout", text="from /secret/data.zip\n"),
        new_output("stream", name="stderr", text="\r100%|#|\nUserWarning: mind\n"),
        new_output("display_data", {widget: {"model_id": "1"}}),
    ]
    cell = new_code_cell(
        "x", outputs=outputs, metadata={"execution": {}, "tags": ["a"]}
    )
    nb = new_notebook(cells=[cell], metadata={"widgets": {}})
    clean(nb, {"/secret/data.zip": "data.zip"})
    assert [(out.name, out.text) for out in cell.outputs] == [
        ("stdout", "100%|#|\n"),
        ("stderr", "UserWarning: mind\n"),
        ("stdout", "from data.zip\n"),
    ]
    assert "widgets" not in nb.metadata and cell.metadata == {"tags": ["a"]}


def test_course_goes_on_after_a_failure_and_names_it(project):
    for name, code in {"01_look": "1 / 0", "02_on": "import os; os.getcwd()"}.items():
        cells = [new_markdown_cell("# T\n\n## 1. Divide"), new_code_cell(code)]
        nb = new_notebook(cells=cells)
        nbformat.write(nb, project / "notebooks" / f"{name}.ipynb")
    command = [sys.executable, "tools/course.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 1
    assert "FAILED: 01_look.ipynb, code cell 1, section “1. Divide”" in done.stderr
    assert "1 of 2 notebooks ran through" in done.stdout
    page = (project / "build" / "course" / "02_on.html").read_text()
    assert "notebooks" in page and str(project) not in page
