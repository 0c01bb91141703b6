"""Build the page that needs no server: all of the recogniser in the browser.

    python tools/try_page.py [--folder build/site/try] [--weights mine.onnx]

Any static host can serve the folder: `python -m http.server` in it, GitHub Pages, a
static Space of Hugging Face. Photos never leave the browser. It holds the service's
page with some words of its own, the scripts of site/try/, the networks, all numbers
that the steps need (models.json), and ONNX Runtime for WebAssembly, which is fetched
once with npm and kept in build/cache/. CenterFace, which finds faces that are hard to
see, is fetched by the page when the first photo needs it.

The network of the expressions goes in as it ships, in half precision: it answers as
Python does. As int8 it is 1.2 MB smaller, but of 500 PrivateTest faces it calls 3 by
another name, and moves probabilities by up to 0.05.
"""

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import blocks
from fer_utils.apps.service.app import WEB
from fer_utils.apps.service.schemas import ABSTAIN_BELOW
from fer_utils.errors import FerError
from fer_utils.evaluation import tta
from fer_utils.files import write_atomic
from fer_utils.labels import class_colour
from fer_utils.photos import (
    PORTRAIT,
    Predictor,
    cascade,
    centerface,
    crop,
    detect,
    network,
)
from fer_utils.photos.open import MAX_PIXELS
from fer_utils.photos.predictor import LEAST_SIDE
from fer_utils.shipped import weights_path

ROOT = Path(__file__).resolve().parents[1]
SOURCES, CACHE = ROOT / "site" / "try", ROOT / "build" / "cache"
SHARED = ("draw.js", "stage.js", "track.js", "style.css", "icon.svg")
PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAf"
    "KYQ=="
)
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
SETTINGS, BLOCKS = "models.json", "blocks.html"
NETWORKS = {"face": "models/face.onnx", "careful": "models/centerface.onnx"}
NETWORKS |= {n: f"models/{n}net.onnx" for n in "pro"}


def build(folder: Path, weights: str | None = None) -> Path:
    """Write the page to a folder, in place of an older one; `FerError` if it fails.

    `weights`: an ONNX file from `fer export`, or the name of a network that ships.
    """
    text = json.dumps(settings(weights), ensure_ascii=False, indent=1)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS).exists():
        raise FerError(f"{folder} holds something else than this page; name another")
    files = runtime()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns(BLOCKS))
    write_atomic(folder / "index.html", page().encode())
    for name in SHARED:
        shutil.copy(WEB / name, folder / name)
    shutil.copy(PORTRAIT, folder / "sample.jpg")
    for part in ("runtime", "models"):
        (folder / part).mkdir()
    for path in files:
        shutil.copy(path, folder / "runtime")
    # The same licence as of the runtime for Python, whose wheel brings it along.
    licence = distribution("onnxruntime").locate_file("onnxruntime/LICENSE")
    shutil.copy(licence, folder / "runtime")
    for detector in ("mtcnn", "centerface"):
        models = Path(cascade.__file__).with_name(detector)
        for path in models.glob("*.onnx"):
            shutil.copy(path, folder / "models")
        shutil.copy(models / "LICENSE", folder / "models" / f"LICENSE-{detector}")
    shutil.copy(weights_path(weights, ".onnx"), folder / NETWORKS["face"])
    write_atomic(folder / SETTINGS, text.encode())
    return folder


def page() -> str:
    """Return the service's page with the blocks that are other words here."""
    theirs = (WEB / "index.html").read_text("utf-8").replace('"web/', '"')
    own = blocks.read((SOURCES / BLOCKS).read_text("utf-8"), BLOCKS)
    return blocks.fill(theirs, own, "apps/web/index.html")


def settings(weights: str | None = None) -> dict:
    """Return what the page must know, each number from the one place where it is."""
    predictor = Predictor(network.OnnxNetwork(weights))
    return {
        "networks": NETWORKS,
        "input": network.INPUT,
        "model": predictor.model_name,
        "classes": predictor.classes,
        "colours": {name: class_colour(name) for name in predictor.classes},
        "balance": list(predictor.balance),
        "temperature": predictor.temperature,
        "views": predictor.views,
        "cut": tta.CUT,
        "abstain_below": ABSTAIN_BELOW,
        "max_pixels": MAX_PIXELS,
        "crop": {
            "size": crop.SIZE,
            "frame_side": crop.FRAME_SIDE,
            "frame_centre": list(crop.FRAME_CENTRE),
            "least_side": LEAST_SIDE,
        },
        "detect": {
            "search_size": detect.SEARCH_SIZE,
            "tile": centerface.TILE,
            "small": detect.SMALL,
            "finer": detect.FINER,
            "min_size": max(cascade.CELL, detect.MIN_SIZE),
            "min_confidence": detect.MIN_CONFIDENCE,
            "angles": detect.ANGLES,
        },
        "cascade": {
            "cell": cascade.CELL,
            "stride": cascade.STRIDE,
            "factor": cascade.FACTOR,
            "thresholds": cascade.THRESHOLDS,
            "overlaps": cascade.OVERLAPS,
            "same": cascade.SAME,
        },
        "centerface": {
            "stride": centerface.STRIDE,
            "multiple": centerface.MULTIPLE,
            "tile": centerface.TILE,
            "shared": centerface.SHARED,
            "overlap": centerface.OVERLAP,
            "doubtful": centerface.DOUBTFUL,
            "likely": centerface.LIKELY,
            "together": centerface.TOGETHER,
            "side": centerface.SIDE,
            "room": centerface.ROOM,
            "near": centerface.NEAR,
            "grown": centerface.GROWN,
            "moved": centerface.MOVED,
            "power": centerface.POWER,
        },
    }


def runtime() -> list[Path]:
    """Return the files of ONNX Runtime Web, fetched with npm the first time."""
    kept = CACHE / PACKAGE
    files = [kept / name for name in RUNTIME]
    if not all(path.exists() for path in files):
        with tempfile.TemporaryDirectory() as folder:
            package = _fetch(Path(folder))
            with tarfile.open(package) as archive:
                for path in files:
                    member = archive.extractfile(f"package/dist/{path.name}")
                    write_atomic(path, member.read())
    return files


def _fetch(folder: Path) -> Path:
    """Fetch the package into a folder; from the registry that npm is set up with."""
    npm = shutil.which("npm")
    if not npm:
        raise FerError(
            f"the page runs on {PACKAGE}, fetched once with npm, which is not "
            "installed; install Node.js (Debian: apt install npm), or copy "
            "build/cache/ from where the page was built before"
        )
    command = [npm, "pack", PACKAGE, "--loglevel=error", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    found = next(folder.glob("*.tgz"), None)
    if done.returncode or not found:
        lines = done.stderr.replace("npm error ", "").strip().splitlines()
        lines = [line for line in lines if "reason" in line] or lines or ["no reason"]
        raise FerError(
            f"npm could not fetch {PACKAGE} ({lines[0]}); "
            "is there a network? It is needed once, then build/cache/ has it"
        )
    digest = base64.b64encode(hashlib.sha512(found.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise FerError(
            f"npm fetched another {PACKAGE} than the one we know: its SHA-512 is "
            f"{digest}; ask whoever runs your npm registry"
        )
    return found


def megabytes(folder: Path, pattern: str = "**/*") -> float:
    return (
        sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
        / 1e6
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "site" / "try")
    parser.add_argument("--weights", help="of a network; default: what ships")
    options = parser.parse_args()
    try:
        folder = build(options.folder, options.weights)
    except FerError as error:
        sys.exit(f"{error}.")
    engine = megabytes(folder, "runtime/*")
    print(
        f"{folder}: {megabytes(folder):.1f} MB, {engine:.1f} MB of it the runtime. "
        f"To see it:\n  python -m http.server --bind 127.0.0.1 --directory {folder}"
    )


if __name__ == "__main__":
    main()
