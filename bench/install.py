"""What the light install costs: megabytes, seconds to import, seconds to an answer.

    python bench/install.py [--keep FOLDER]

Makes a fresh virtual environment, installs the package of this checkout without extras,
and answers the portrait there. Prints the largest packages.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"megabytes": 350, "import and load": 0.6}
ASK = """if True:
    import json, sys, time
    start = time.perf_counter()
    import fer_utils as fer
    predictor = fer.Predictor.load()
    loaded = time.perf_counter() - start
    (face,) = predictor.predict(sys.argv[1])
    heavy = sorted({"torch", "cv2", "scipy", "pandas", "matplotlib"} & {*sys.modules})
    print(json.dumps([loaded, time.perf_counter() - start, face.emotion, heavy]))
"""


def megabytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6


def measure(folder: Path) -> None:
    """Install into `folder` and print what it takes, beside the targets."""
    venv.create(folder, with_pip=True)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    python = folder / scripts / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    before = megabytes(folder)
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", ROOT], check=True)
    portrait = ROOT / "fer_utils" / "photos" / "astronaut.jpg"
    answers = []
    for _ in range(6):  # the first one compiles
        done = subprocess.run(
            [python, "-c", ASK, portrait],
            cwd=folder, capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
        answers.append(json.loads(done.stdout))
    loaded, whole, emotion, heavy = min(answers)
    size = megabytes(folder) - before
    print(f"installed        {size:7.0f} MB   (at most {TARGETS['megabytes']})")
    print(f"import and load  {loaded:7.2f} s    (at most {TARGETS['import and load']})")
    print(f"and answer       {whole:7.2f} s    {emotion}")
    print(f"imported of what is heavy: {', '.join(heavy) or 'nothing'}")
    (packages,) = folder.rglob("site-packages")
    parts = sorted(((megabytes(p), p.name) for p in packages.iterdir()), reverse=True)
    print("largest: " + ", ".join(f"{name} {size:.0f}" for size, name in parts[:8]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path, help="install there, and leave it")
    options = parser.parse_args()
    if options.keep:
        measure(options.keep.resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder))
