"""Carry what stands once into the places that repeat it (`make sync`).

* one set of metadata (no widget state, no editor's leftovers) -> every notebook;
* pyproject.toml's Repository address and version -> every notebook's *Open in Colab*
  badge and setup cell (tag `setup`; a second tag `extra:demo` installs that extra too);
* a definition in the package -> the cell tagged `source:fer_utils.module.name`;
* each notebook's title, first sentence and badge -> the course table in README.md,
  between `<!-- course -->` and `<!-- /course -->`.

`--check` writes nothing and fails when something is stale.
"""

import argparse
import ast
import re
import sys
import tomllib
from pathlib import Path

import nbformat

BADGE = re.compile(r"^\[!\[Open in Colab\].*$", re.MULTILINE)
TABLE = re.compile(r"(?<=<!-- course -->\n).*?(?=<!-- /course -->)", re.DOTALL)
COLAB = "https://colab.research.google.com"
SETUP = """\
try:
    import fer_utils as fer
except ModuleNotFoundError:  # on Colab, the first time
    %pip install -q "fer-utils{extras} @ {url}/archive/refs/tags/v{version}.zip"
    import fer_utils as fer
fer.setup()"""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class SyncError(Exception):
    """Something to mend by hand; the message names the file and the problem."""


def notebooks(root: Path) -> list[Path]:
    """The course's notebooks in order, then the solutions."""
    folder = root / "notebooks"
    return sorted(folder.glob("*.ipynb")) + sorted(folder.glob("solutions/*.ipynb"))


def badge(url: str, path: Path) -> str:
    """The Colab badge of the notebook at `path`, relative to the repository."""
    repository = url.removeprefix("https://github.com/")
    link = f"{COLAB}/github/{repository}/blob/main/{path.as_posix()}"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({link})"


def package_source(root: Path, dotted: str) -> str:
    """Source of a top-level definition, `fer_utils.module.name`, with decorators."""
    *module, name = dotted.split(".")
    path = root.joinpath(*module).with_suffix(".py")
    if not path.is_file():
        raise SyncError(f"source:{dotted}: there is no {path.relative_to(root)}")
    text = path.read_text()
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            case ast.Assign(targets=targets):
                names, first = [getattr(t, "id", None) for t in targets], node.lineno
            case ast.AnnAssign(target=target):
                names, first = [getattr(target, "id", None)], node.lineno
            case _:
                continue
        if name in names:
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise SyncError(f"source:{dotted}: {path.relative_to(root)} defines no {name}")


def sync_notebook(nb, path: Path, root: Path, url: str, version: str) -> None:
    """Bring badge, setup cell and source cells of `nb` up to date, in place."""
    where = path.relative_to(root)
    if not nb.cells or not nb.cells[0].source.startswith("# "):
        raise SyncError(f"{where}: the first cell must open with a '# Title' line")
    nb.metadata = nbformat.from_dict(METADATA)
    opening, line = nb.cells[0], badge(url, where)
    if BADGE.search(opening.source):
        opening.source = BADGE.sub(line, opening.source, count=1)
    else:
        title, _, rest = opening.source.partition("\n")
        opening.source = f"{title}\n\n{line}\n\n{rest.strip()}".rstrip()
    if not any("setup" in cell.metadata.get("tags", ()) for cell in nb.cells):
        cell = nbformat.v4.new_code_cell(metadata={"tags": ["setup"]})
        nb.cells.insert(1, cell)
    for cell in nb.cells:
        tags = cell.metadata.get("tags", ())
        names = [tag.removeprefix("source:") for tag in tags if tag[:7] == "source:"]
        if "setup" in tags:
            extras = ",".join(tag[6:] for tag in tags if tag.startswith("extra:"))
            extras = f"[{extras}]" if extras else ""
            cell.source = SETUP.format(url=url, version=version, extras=extras)
        elif names:
            cell.source = "\n\n\n".join(package_source(root, name) for name in names)


def summary(nb) -> tuple[str, str]:
    """Title of a notebook and the one line that follows it (quote or sentence)."""
    title, *blocks = re.split(r"\n\s*\n", BADGE.sub("", nb.cells[0].source).strip())
    title, _, rest = title.partition("\n")
    block = next((b for b in [rest, *blocks] if b.strip() and b.strip()[0] != "|"), "")
    text = " ".join(line.lstrip("> ").strip() for line in block.strip().splitlines())
    if not block.lstrip().startswith(">"):
        text = re.split(r"(?<=[.?!]) ", text)[0]
    return title.lstrip("# ").strip(), text.replace("|", "\\|")


def course_table(entries: list[tuple[Path, object]], url: str) -> str:
    """The README's table: one row per notebook, given as (relative path, notebook)."""
    rows = ["| Notebook | What it is about | |", "|---|---|---|"]
    for path, nb in entries:
        title, text = summary(nb)
        rows.append(f"| [{title}]({path.as_posix()}) | {text} | {badge(url, path)} |")
    return "\n".join(rows) + "\n"


def sync(root: Path, check: bool = False) -> list[Path]:
    """Bring everything under `root` up to date; return the files that were stale."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    url = project["urls"]["Repository"].rstrip("/").removesuffix(".git")
    stale, course = [], []
    for path in notebooks(root):
        before = path.read_text()
        old, nb = (nbformat.reads(before, as_version=4) for _ in range(2))
        sync_notebook(nb, path, root, url, project["version"])
        if nb != old:
            stale.append(path)
            if not check:
                nbformat.write(nb, path)
        if path.parent.name == "notebooks":
            course.append((path.relative_to(root), nb))
    readme = root / "README.md"
    if readme.exists():
        text = readme.read_text()
        if not TABLE.search(text):
            raise SyncError("README.md: no <!-- course --> ... <!-- /course --> lines")
        fresh = TABLE.sub(lambda _: course_table(course, url), text)
        if fresh != text:
            stale.append(readme)
            if not check:
                readme.write_text(fresh)
    return stale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    args = parser.parse_args()
    try:
        stale = sync(args.root.resolve(), args.check)
    except SyncError as error:
        print(f"sync: {error}", file=sys.stderr)
        return 1
    for path in stale:
        verb = "is stale: run `make sync`" if args.check else "brought up to date"
        print(f"{path.relative_to(args.root.resolve())} {verb}")
    if not stale:
        print("sync: everything is up to date")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
