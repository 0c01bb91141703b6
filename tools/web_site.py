"""Build the course's web site: notebooks, look-up pages, report, and the page to try.

    python tools/web_site.py [--folder build/site] [--no-try]

Sphinx makes it from site/*.md and from the notebooks as they are, outputs included;
nothing is run, and nothing of it asks another host. Any warning fails the build. The
page to try (tools/try_page.py) needs npm once; `--no-try` leaves it out.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat

import blocks
import try_page
from fer_utils.errors import FerError
from sync import BADGE

ROOT = Path(__file__).resolve().parents[1]
SOURCE, FOLDER = ROOT / "build" / "site-source", ROOT / "build" / "site"
MARK = "course.txt"  # in a folder that this made
HEAD = ["| In | Message | What it means | What to do |", "|---|---|---|---|"]
ERRORS = re.compile(r"(?ms)^## If you see this error\n+(.*?)(?=^## |\Z)")


def build(folder: Path = FOLDER, with_try: bool = True) -> Path:
    """Write the site to a folder, in place of an older one; `FerError` if it fails."""
    taken = folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
    if taken and not (folder / MARK).exists():
        raise FerError(f"{folder} holds something else than this site; name another")
    sources(SOURCE)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("made by tools/web_site.py\n", "utf-8")
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E"]
    sphinx += ["-d", str(SOURCE.with_name("site-trees"))]
    sphinx += ["-D", f"html_theme_options.repository_url={repository()}"]
    done = subprocess.run([*sphinx, str(SOURCE), str(folder)])
    if done.returncode:
        raise FerError("Sphinx names faults, see above; mend them and run this again")
    (folder / "report").mkdir()
    shutil.copy(ROOT / "report" / "report.pdf", folder / "report")
    if with_try:
        try_page.build(folder / "try")
    return folder


def sources(folder: Path) -> None:
    """Gather what Sphinx reads: pages, notebooks, pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "site", folder, ignore=shutil.ignore_patterns("try", "__*"))
    shutil.copy(ROOT / "report" / "images" / "strip.png", folder)
    for path in (ROOT / "MODEL_CARD.md", *folder.glob("*.md")):
        text = to_repository(path.read_text("utf-8")).replace("](../", "](")
        (folder / path.name).write_text(text, "utf-8")
    rows = []
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        nb = nbformat.read(path, as_version=4)
        solves = path.parent.name == "solutions"
        rows += [] if solves else errors(nb, path.name)
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(for_the_site(nb, folded=solves), target)
    table = "\n".join([*HEAD, *rows, ""])
    page = folder / "errors.md"
    text = blocks.fill(page.read_text("utf-8"), {"errors": table}, page.name)
    page.write_text(text, "utf-8")


def for_the_site(nb, folded: bool):
    """A notebook without its badge, which the menu replaces; solutions fold."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = to_repository(BADGE.sub("", cell.source))
        elif folded:
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
    return nb


def errors(nb, name: str) -> list[str]:
    """The rows of a notebook's table of error messages, with a link to it."""
    text = "\n\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    number = name[:2].lstrip("0")
    found = ERRORS.search(text)
    lines = [row for row in (found[1] if found else "").splitlines() if row[:1] == "|"]
    return [f"| [{number}](notebooks/{name}) {row}" for row in lines[2:]]


def to_repository(text: str) -> str:
    """Let links to files that are not part of the site lead to the repository."""
    folders = "report|data|deploy|bench|tools|fer_utils|CONTRIBUTING"
    there = rf"]({repository()}/blob/main/\1)"
    return re.sub(rf"\]\((?:\.\./)*((?:{folders})[^)]*)\)", there, text)


def repository() -> str:
    """Return the public address of the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project["urls"]["Repository"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--no-try", action="store_true", help="without the page to try")
    args = parser.parse_args()
    try:
        folder = build(args.folder, not args.no_try)
    except FerError as error:
        print(f"web_site: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: open index.html there, or python -m http.server -d {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
