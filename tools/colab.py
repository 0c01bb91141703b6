"""Run every notebook as Colab would (`make colab`), installed by its setup cell.

In `build/colab/` it makes an environment with Colab's own versions (tools/colab.txt),
runs the notebooks there in order, on the embedded sample, and lets each setup cell
install what it misses from a zip of this commit. It fails if that changed a version, if
a cell failed, or if one wrote to stderr. The first time it downloads some gigabytes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from sync import notebooks

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "colab"
VERSIONS = Path(__file__).with_name("colab.txt")
CACHE_TAG = BUILD / "versions.txt"  # what the environment was made from


def environment(python: Path) -> None:
    """Make the environment anew unless it is there, and take out what we put in."""
    wanted = VERSIONS.read_text("utf-8")
    if not CACHE_TAG.exists() or CACHE_TAG.read_text("utf-8") != wanted:
        shutil.rmtree(BUILD, ignore_errors=True)
        venv.create(BUILD / "venv", with_pip=True)
        pip(python, "install", "-q", "-r", str(VERSIONS))
        CACHE_TAG.write_text(wanted, "utf-8")
        (BUILD / "before.json").write_text(json.dumps(versions(python)), "utf-8")
    before = json.loads((BUILD / "before.json").read_text("utf-8"))
    if added := versions(python).keys() - before.keys():
        pip(python, "uninstall", "-q", "-y", *sorted(added))


def pip(python: Path, *arguments: str) -> str:
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.check_output(command, encoding="utf-8")


def versions(python: Path) -> dict[str, str]:
    """Return the installed packages with their versions."""
    found = json.loads(pip(python, "list", "--format", "json"))
    return {package["name"].lower(): package["version"] for package in found}


def kernel(python: Path) -> None:
    """Let Jupyter find the environment's kernel under the name `colab`."""
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Colab", "language": "python"}
    home = BUILD / "jupyter" / "kernels" / "colab"
    home.mkdir(parents=True, exist_ok=True)
    (home / "kernel.json").write_text(json.dumps(spec), "utf-8")
    os.environ["JUPYTER_PATH"] = str(BUILD / "jupyter")


def run(path: Path, address: str, zipped: Path) -> list[str]:
    """Run one notebook; return what was wrong."""
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if "setup" in cell.metadata.get("tags", ()):
            assert address in cell.source, f"{path.name} installs from elsewhere"
            cell.source = cell.source.replace(address, zipped.as_uri())
    folder = BUILD / "notebooks"  # away from the package's own folder
    folder.mkdir(exist_ok=True)
    resources = {"metadata": {"path": str(folder)}}
    try:
        NotebookClient(
            nb, timeout=900, kernel_name="colab", resources=resources
        ).execute()
    except CellExecutionError as error:
        return [f"{path.name}: {error.ename}: {error.evalue}"]
    return [
        f"{path.name}, cell {number}: {output.text.strip()}"
        for number, cell in enumerate(nb.cells)
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr" and output.text.strip()
    ]


def main() -> str | int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    python = BUILD / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment(python)
    before = versions(python)
    kernel(python)
    zipped = BUILD / "main.zip"
    archive = ["git", "archive", "--format=zip", "--prefix=course/"]
    subprocess.check_call([*archive, "-o", zipped, "HEAD"], cwd=ROOT)
    toml = (ROOT / "pyproject.toml").read_text("utf-8")
    address = toml.partition('Repository = "')[2].partition('"')[0]
    address += "/archive/refs/heads/main.zip"
    os.environ |= {"FER_DATA": "sample", "FER_PROFILE": "quick", "FER_VOTES": ""}
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger warns
    os.environ["FER_RUNS"] = str(BUILD / "runs")
    shutil.rmtree(BUILD / "runs", ignore_errors=True)
    wrong = []
    for path in notebooks(ROOT):
        wrong += (found := run(path, address, zipped))
        print(f"{path.name}: {'FAILED' if found else 'done'}", flush=True)
    after = versions(python)
    for name, version in before.items():
        if after.get(name) != version:
            wrong.append(f"the install changed {name} {version} to {after.get(name)}")
    print(
        f"{len(after) - len(before)} packages came, {len(before)} stayed as they were"
    )
    return "\n".join(wrong) or 0


if __name__ == "__main__":
    sys.exit(main())
