"""Run the notebooks top to bottom (`make course`, `make notebooks`).

Executed notebooks and web pages go to build/course/; `--in-place` writes them back to
notebooks/, cleaned for committing. A failing notebook does not stop the others.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

if __name__ == "__main__":  # before the imports that take seconds

    def stop(number: int, _) -> None:
        """End in one line, and with it the kernel or whatever else runs."""
        os.write(2, b"\nstopped\n")
        for child in reversed(psutil.Process().children(recursive=True)):
            child.kill()
        os._exit(128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter, preprocessors
from nbformat.v4 import new_output
from tqdm import tqdm

from sync import METADATA, notebooks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build" / "course"
BAR = re.compile(r".*(?:\d%\||\d+it \[).*\n")  # a line that tqdm wrote


def select(names: list[str]) -> list[Path]:
    """The course's notebooks, or those whose path under notebooks/ starts so."""
    every = {path.relative_to(NOTEBOOKS).as_posix(): path for path in notebooks(ROOT)}
    chosen = [] if names else [path for key, path in every.items() if "/" not in key]
    for name in names:
        start = name.removeprefix("notebooks/")
        found = [path for key, path in every.items() if key.startswith(start)]
        if not found:
            raise SystemExit(f"no notebook starts with {name!r} in {NOTEBOOKS}")
        chosen += [path for path in found if path not in chosen]
    return chosen


def prepare_environment() -> dict[str, str]:
    """Settings for kernels, which run in notebooks/; returns absolute path -> name."""
    shown = {str(Path.home()): "~", f"{ROOT}/": "", str(ROOT): "."}
    for key in ("FER_DATA", "FER_VOTES", "FER_CACHE", "FER_RUNS"):
        value = os.environ.get(key, "").strip()
        if value not in ("", "kaggle", "sample"):
            os.environ[key] = path = os.path.abspath(os.path.expanduser(value))
            shown |= dict.fromkeys((path, os.path.realpath(path)), Path(path).name)
    os.environ["SPYDER_TEXT_BARS"] = "1"  # makes tqdm.auto write text, not widgets
    os.environ |= {"TQDM_NCOLS": "80", "TQDM_POSITION": "0"}  # inner bars: same line
    return dict(sorted(shown.items(), key=lambda item: -len(item[0])))


def find_data(in_place: bool) -> None:
    """Let `fer data` find and name the data; drawn faces get the quick profile."""
    command = [sys.executable, "-m", "fer_utils", "data"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
    print(done.stdout, end="", flush=True)
    if done.returncode:  # it has said why
        raise SystemExit(done.returncode)
    if "from the embedded sample" in done.stdout:
        if in_place:
            raise SystemExit("committed outputs come from real FER2013: set FER_DATA")
        os.environ["FER_DATA"] = "sample"  # no kernel needs to ask Kaggle again
        if not os.environ.get("FER_PROFILE", "").strip():
            os.environ["FER_PROFILE"] = "quick"
            print("Drawn faces, so FER_PROFILE=quick; for real ones set FER_DATA.")


class Execute(preprocessors.ExecutePreprocessor):
    """Runs a notebook; the terminal's bar shows the cell and the last line it wrote."""

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE)
            self.section = [self.section, *headings][-1]
        super().preprocess_cell(cell, resources, index)
        self.bar.update(cell.cell_type == "code")
        return cell, resources

    def process_message(self, msg, cell, cell_index):
        if text := msg["content"].get("text", "").strip():  # only a stream has it
            inner = re.sub(r"\|.*\|", "", re.split(r"[\r\n]", text)[-1])  # numbers do
            self.bar.set_postfix_str(inner, refresh=False)
            self.bar.update(0)
        return super().process_message(msg, cell, cell_index)


def tidy(nb, shown: dict[str, str]) -> None:
    """Keep of an executed notebook what belongs into git, in place."""
    nb.metadata = METADATA
    for cell in nb.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags" and v}
        outputs = cell.get("outputs", [])
        # Bars (stderr) are redrawn between prints: only the whole of stderr shows how
        # they end. They go to stdout, so that what is left in stderr are warnings.
        errors = [out for out in outputs if out.get("name") == "stderr"]
        if errors:
            text = re.sub(r".*\r(?!\n)", "", "".join(out.text for out in errors))
            text = re.sub(r"\s*\n", "\n", f"{text}\n").lstrip("\n")  # no empty lines
            parts = {"stdout": "".join(BAR.findall(text)), "stderr": BAR.sub("", text)}
            new = [new_output("stream", name=k, text=v) for k, v in parts.items() if v]
            first = outputs.index(errors[0])
            outputs[first:] = new + [o for o in outputs[first:] if o not in errors]
        preprocessors.CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)
        for out in list(cell.get("outputs", [])):
            texts = out.get("data", out)
            if "text" in out:
                out.text = re.sub(r"(?m).*\r(?!\n)|[ \t]+$", "", out.text)
            widget = texts.pop("application/vnd.jupyter.widget-view+json", None)
            if widget is not None and re.match(r"\w+\(", texts.get("text/plain", "")):
                del texts["text/plain"]  # VBox(children=(…: nobody can read that
            for kind in [kind for kind in texts if kind.startswith("text")]:
                for path, name in shown.items():
                    texts[kind] = texts[kind].replace(path, name)
            if "text/html" in texts:
                texts["text/html"] = lean_table(texts["text/html"])
            if not texts:
                cell.outputs.remove(out)


def lean_table(html: str) -> str:
    """Return a pandas table without ids and classes if no style of it uses them."""
    unused = '<style type="text/css">\n</style>\n'
    if unused not in html:
        return html
    html = re.sub(r'(<t\w+)(?: (?:id|class)="[^"]*")+(?: (?=>))?', r"\1", html)
    return re.sub(r"\n *", "", html.replace(unused, ""))


def run_notebook(path: Path, shown: dict[str, str], in_place: bool) -> str:
    """Execute one notebook, write what came out, return the failure's text or ''."""
    nb, failure = nbformat.read(path, as_version=4), ""
    resources = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    execute = Execute(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
    execute.section = path.stem
    execute.bar = tqdm(
        desc=path.stem, total=sum(cell.cell_type == "code" for cell in nb.cells),
        bar_format="{desc} |{bar:12}| {n}/{total} cells, {elapsed}{postfix}",
        mininterval=0.2 if sys.stderr.isatty() else 30, miniters=0, dynamic_ncols=True,
    )  # fmt: skip
    try:
        with execute.bar:
            execute.preprocess(nb, resources)
    except CellExecutionError as error:
        failure = f"{error.ename}: {error.evalue}"
    except DeadKernelError:
        failure = "the kernel died (out of memory?)"
    tidy(nb, shown)
    if in_place and not failure:
        nbformat.write(nb, path)
    name = path.relative_to(NOTEBOOKS)
    (BUILD / name).parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, BUILD / name)
    page, _ = HTMLExporter().from_notebook_node(nb, resources)
    (BUILD / name).with_suffix(".html").write_text(page, encoding="utf-8")
    took = tqdm.format_interval(execute.bar.format_dict["elapsed"])
    print(f"{name}: {'FAILED' if failure else 'done'} after {took}", flush=True)
    where = f"{name}, code cell {execute.bar.n + 1}, section “{execute.section}”"
    return failure and f"FAILED: {where}: {failure}"


def main() -> str | int:
    for stream in (sys.stdout, sys.stderr):  # a Windows terminal may lack →
        stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="such as 01 or solutions/01")
    parser.add_argument("--in-place", action="store_true", help="update notebooks/")
    args = parser.parse_args()
    paths, shown = select(args.notebooks), prepare_environment()
    find_data(args.in_place)
    failures = [f for path in paths if (f := run_notebook(path, shown, args.in_place))]
    print(f"\n{len(paths) - len(failures)} of {len(paths)} notebooks ran through.")
    print(f"Executed notebooks and web pages: {BUILD}")
    return "\n".join(failures) or 0  # a text goes to stderr, and the exit code is 1


if __name__ == "__main__":
    sys.exit(main())
