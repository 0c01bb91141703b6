"""Carry what stands once into the places that repeat it (`make sync`).

* one set of metadata (no widget state, no editor's leftovers) -> every notebook;
* pyproject.toml's Repository address and version -> every notebook's *Open in Colab*
  badge and setup cell (tag `setup`; it installs the extra `course`, and with a second
  tag, such as `extra:demo`, that extra too);
* a definition in the package -> the cell tagged `source:fer_utils.room.module.name`;
* each notebook's title, first sentence and badge -> the course table in README.md,
  between `<!-- course -->` and `<!-- /course -->`.

`--check` writes nothing and fails when something is stale.
"""

import argparse
import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import nbformat

from blocks import fill
from fer_utils.errors import FerError

BADGE = re.compile(r"^\[!\[Open in Colab\].*$", re.MULTILINE)
HEAD = ("| Notebook | What it is about | |", "|---|---|---|")
COLAB = "https://colab.research.google.com"
# What tells that an extra is there: a module that it alone brings.
EXTRAS = {"course": "torch", "backbones": "efficientnet_lite_pytorch"}
EXTRAS |= {"demo": "anywidget", "video": "av"}
EXTRAS |= {"export": "onnxscript", "serve": "fastapi", "scale": "ray"}
SETUP = """\
from importlib.util import find_spec

needed = {modules}
if not all(map(find_spec, needed)):  # on Colab, the first time
    %pip install -q "fer-utils[{extras}] @ {url}/archive/refs/heads/main.zip"
import fer_utils as fer

fer.setup("{version}")"""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


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
    """Source of a function or class, `fer_utils.room.module.name`, with decorators."""
    *module, name = dotted.split(".")
    path = root.joinpath(*module).with_suffix(".py")
    if not path.is_file():
        raise FerError(f"source:{dotted}: there is no {path.relative_to(root)}")
    text = path.read_text("utf-8")
    for node in ast.parse(text).body:
        if getattr(node, "name", None) == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise FerError(f"source:{dotted}: {path.relative_to(root)} defines no {name}")


def sync_notebook(nb, path: Path, root: Path, url: str, version: str) -> None:
    """Bring badge, setup cell and source cells of `nb` up to date, in place."""
    where = path.relative_to(root)
    if not nb.cells or not nb.cells[0].source.startswith("# "):
        raise FerError(f"{where}: the first cell must open with a '# Title' line")
    nb.metadata = nbformat.from_dict(METADATA)
    opening, line = nb.cells[0], badge(url, where)
    if not BADGE.search(opening.source):
        title, _, rest = opening.source.partition("\n")
        opening.source = f"{title}\n\n{line}\n\n{rest.strip()}".rstrip()
    opening.source = BADGE.sub(line, opening.source, count=1)
    if not any("setup" in cell.metadata.get("tags", ()) for cell in nb.cells):
        nb.cells.insert(1, nbformat.v4.new_code_cell(metadata={"tags": ["setup"]}))
    for cell in nb.cells:
        tags = cell.metadata.get("tags", ())
        names = [tag.removeprefix("source:") for tag in tags if tag[:7] == "source:"]
        if "setup" in tags:
            tagged = [tag[6:] for tag in tags if tag.startswith("extra:")]
            extras = ["course", *tagged]
            modules = json.dumps(["fer_utils", *(EXTRAS[extra] for extra in extras)])
            cell.source = SETUP.format(
                url=url, version=version, extras=",".join(extras), modules=modules
            )
        elif names:
            cell.source = "\n\n\n".join(package_source(root, name) for name in names)


def course_row(nb, path: Path, url: str) -> str:
    """A notebook's row in README: title, the quote or sentence after it, badge."""
    title, *blocks = re.split(r"\n\s*\n", BADGE.sub("", nb.cells[0].source).strip())
    title, _, rest = title.partition("\n")
    block = next((b for b in [rest, *blocks] if b.strip() and b.strip()[0] != "|"), "")
    text = " ".join(line.lstrip("> ").strip() for line in block.strip().splitlines())
    if not block.lstrip().startswith(">"):
        text = re.split(r"(?<=[.?!]) ", text)[0]
    title, text = title.lstrip("# ").strip(), text.replace("|", "\\|")
    return f"| [{title}]({path.as_posix()}) | {text} | {badge(url, path)} |"


def sync(root: Path, check: bool = False) -> list[Path]:
    """Bring everything under `root` up to date; return the files that were stale."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    url = project["urls"]["Repository"].rstrip("/").removesuffix(".git")
    fresh, rows, readme = {}, [], root / "README.md"
    for path in notebooks(root):
        old, nb = (nbformat.read(path, as_version=4) for _ in range(2))
        sync_notebook(nb, path, root, url, project["version"])
        if nb != old:
            fresh[path] = nbformat.writes(nb) + "\n"
        if path.parent.name == "notebooks":
            rows.append(course_row(nb, path.relative_to(root), url))
    if readme.exists():
        text = readme.read_text("utf-8")
        table = "\n".join([*HEAD, *rows, ""])
        if (new := fill(text, {"course": table}, readme.name)) != text:
            fresh[readme] = new
    for path, text in fresh.items() if not check else ():
        path.write_text(text, "utf-8", newline="\n")
    return list(fresh)


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # a Windows terminal may lack →
        stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    args = parser.parse_args()
    root = args.root.resolve()
    verb = "is stale: run `make sync`" if args.check else "brought up to date"
    try:
        stale = [f"{path.relative_to(root)} {verb}" for path in sync(root, args.check)]
    except FerError as error:
        print(f"sync: {error}", file=sys.stderr)
        return 1
    print("\n".join(stale) or "sync: everything is up to date")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
