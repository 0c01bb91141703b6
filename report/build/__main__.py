"""Records → figures, tables, and the written report (`make report`).

Reads report/runs/, report/references.toml and report/data.json; writes report/images/,
report/report.html, report/report.pdf, and the tables in README.md and site/results.md.
Needs no GPU, network or browser. `--check` only fails when one of them is stale.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from fer_utils.data import FER2013
from fer_utils.errors import FerError
from fer_utils.files import write_atomic

from . import figures, typeset
from .facts import ROOT, Facts, NotRun, keep_data, keep_duplicates, read_facts
from .text import PAGES, digest, page, render


def draw(facts: Facts, data: FER2013 | None, root: Path) -> None:
    """Draw every figure that can be drawn, saying what it took."""
    for name, figure in figures.FIGURES.items():
        path = root / "report" / "images" / f"{name}.png"
        start = time.perf_counter()
        if lacking := figure.lacking(facts):
            path.unlink(missing_ok=True)  # else it would show what is not on record
            print(f"{name:24} not run: {lacking}")
            continue
        if figure.pixels and not data:
            print(f"{name:24} kept: FER2013 is not here (FER_DATA)")
            continue
        try:
            picture = figure.draw(data if figure.pixels else facts)
        except NotRun as missing:
            path.unlink(missing_ok=True)
            print(f"{name:24} not run: {missing}")
            continue
        write_atomic(path, picture.png(figures.DPI))
        print(f"{name:24} {time.perf_counter() - start:5.1f} s", flush=True)


def make(root: Path = ROOT) -> None:
    """Draw, fill in, write."""
    start = time.perf_counter()
    if data := figures.find_pixels():
        keep_data(data, root / "report" / "data.json")
        keep_duplicates(data, root / "report" / "duplicates.csv")
    facts = read_facts(root)
    print(f"{len(facts.runs)} runs on record")
    draw(facts, data, root)
    for name in PAGES:
        path = root / name
        write_atomic(path, page(facts, path.read_text("utf-8"), name).encode())
    text, report = render(facts, root), root / "report"
    write_atomic(report / "report.html", typeset.web_page(text, report).encode())
    print("report/report.html", flush=True)
    write_atomic(report / "report.pdf", typeset.pdf(text, root, digest(text, root)))
    print(f"report/report.pdf; all of it took {time.perf_counter() - start:.0f} s")


def stale(root: Path = ROOT) -> list[str]:
    """What says something else than the records, and is to be made again."""
    facts = read_facts(root)
    texts = {name: (root / name).read_text("utf-8") for name in PAGES}
    found = [name for name in PAGES if page(facts, texts[name], name) != texts[name]]
    pages = root / "report" / "report.pdf"
    wanted = digest(render(facts, root), root).encode()
    if not pages.exists() or wanted not in pages.read_bytes():
        found.append("report/report.pdf")
    return found


def main() -> int:
    parser = argparse.ArgumentParser("report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args()
    root = options.root.resolve()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same pictures on every machine
    try:
        if not options.check:
            make(root)
            return 0
        for name in (found := stale(root)):
            print(f"{name} is stale: run `make report`")
        return int(bool(found))
    except FerError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
