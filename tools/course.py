"""Run the notebooks top to bottom (`make course`, `make notebooks`).

Executed notebooks and web pages go to build/course/; `--in-place` writes them back to
notebooks/, cleaned for committing. A failing notebook does not stop the others.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from tqdm import tqdm

from sync import METADATA, notebooks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build" / "course"
PATHS = ("FER_DATA", "FER_VOTES", "FER_CACHE", "FER_RUNS")
BAR = re.compile(r"\d%\||\d+it \[")  # what tqdm writes


def select(names: list[str]) -> list[Path]:
    """The course's notebooks, or those whose path under notebooks/ starts so."""
    every = {path.relative_to(NOTEBOOKS).as_posix(): path for path in notebooks(ROOT)}
    if not names:
        return [path for key, path in every.items() if "/" not in key]
    chosen = []
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
    for key in PATHS:
        value = os.environ.get(key, "").strip()
        path = Path(value).expanduser().absolute()
        if value and (path.exists() or key in ("FER_CACHE", "FER_RUNS")):
            os.environ[key] = str(path)
            shown[str(path)] = shown[str(path.resolve())] = path.name
    os.environ["SPYDER_TEXT_BARS"] = "1"  # makes tqdm.auto write text, not widgets
    os.environ["TQDM_NCOLS"] = "80"  # whatever the terminal's width
    return dict(sorted(shown.items(), key=lambda item: -len(item[0])))


def settle(text: str) -> str:
    """What a terminal shows in the end, once progress bars have been redrawn."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\r|\n|\x1b\[A)", text):
        if part == "\r":
            column = 0
        elif part == "\x1b[A":
            row = max(row - 1, 0)
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        else:
            end = column + len(part)
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][end:]
            column = end
    kept = [line.rstrip() for line in lines if line.strip() or "\r" not in text]
    return "\n".join(kept) + "\n" * ("\r" in text and bool(kept))


def join_streams(outputs: list) -> list:
    """Outputs with stdout joined where consecutive, and all of stderr as one text.

    Bars (stderr) are redrawn between prints, so only their whole text can settle; what
    then still looks like a bar moves to stdout, and stderr is left for warnings.
    """
    joined, errors = [], None
    for out in outputs:
        if out.output_type != "stream":
            joined.append(out)
        elif out.name == "stderr" and errors:
            errors.text += out.text
        elif joined and joined[-1].get("name") == out.name == "stdout":
            joined[-1].text += out.text
        else:
            joined.append(out)
            errors = errors or (out if out.name == "stderr" else None)
    result = []
    for out in joined:
        if out.output_type != "stream":
            result.append(out)
            continue
        for line in settle(out.text).splitlines(keepends=True):
            name = "stdout" if BAR.search(line) else out.name
            if result and result[-1].get("name") == name:
                result[-1].text += line
            else:
                result.append(nbformat.v4.new_output("stream", name=name, text=line))
    return result


def clean_outputs(outputs: list, shown: dict[str, str]) -> list:
    """Outputs fit to commit: streams joined, widgets dropped, paths shortened."""
    result = []
    for out in join_streams(outputs):
        texts = out if out.output_type == "stream" else out.get("data", {})
        texts.pop("application/vnd.jupyter.widget-view+json", None)
        for key, value in texts.items():
            if key.startswith("text") and isinstance(value, str):
                for path, name in shown.items():
                    value = value.replace(path, name)
                texts[key] = value
        if texts or out.output_type == "error":
            result.append(out)
    return result


def clean(nb, shown: dict[str, str]) -> None:
    """Keep of an executed notebook what belongs into git, in place."""
    nb.metadata = nbformat.from_dict(METADATA)
    for cell in nb.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell.outputs, shown)


class Client(NotebookClient):
    """Runs a notebook; the terminal's bar shows the cell and the last line it wrote."""

    def run(self, label: str) -> None:
        total = sum(cell.cell_type == "code" for cell in self.nb.cells)
        every = 0.2 if sys.stderr.isatty() else 30
        self.bar = tqdm(
            total=total,
            desc=label,
            bar_format="{desc} |{bar:12}| {n}/{total} cells, {elapsed}{postfix}",
            miniters=0,
            mininterval=every,
            dynamic_ncols=True,
        )
        self.cell_index = 0
        self.on_cell_start = self.note_cell
        self.on_cell_executed = lambda **_: self.bar.update()
        with self.bar:
            self.execute()

    def note_cell(self, cell, cell_index: int) -> None:
        self.cell_index = cell_index

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            lines = re.split(r"\r|\n|\x1b\[A", msg["content"]["text"])
            written = [line.strip() for line in lines if line.strip()]
            if written:
                inner = re.sub(r"\|.*\|", "", written[-1])  # a bar's numbers will do
                self.bar.set_postfix_str(inner, refresh=False)
            self.bar.update(0)
        return super().process_message(msg, cell, cell_index)

    def place(self) -> str:
        """The cell that runs, as a reader finds it: its number and its section."""
        before = self.nb.cells[: self.cell_index + 1]
        number = sum(cell.cell_type == "code" for cell in before)
        text = "\n".join(c.source for c in before if c.cell_type == "markdown")
        heading = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)[-1:]
        return f"code cell {number}" + "".join(f", section “{h}”" for h in heading)


def run_notebook(path: Path, shown: dict[str, str], in_place: bool) -> str:
    """Execute one notebook, write what came out, return the failure's text or ''."""
    nb = nbformat.read(path, as_version=4)
    client = Client(
        nb,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        timeout=None,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    failure = ""
    try:
        client.run(path.stem)
    except CellExecutionError as error:
        failure = f"{client.place()}: {error.ename}: {error.evalue}"
    except DeadKernelError:
        failure = f"{client.place()}: the kernel died (out of memory?)"
    clean(nb, shown)
    if in_place and not failure:
        nbformat.write(nb, path)
    target = BUILD / path.relative_to(NOTEBOOKS)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, target)
    page, _ = HTMLExporter().from_notebook_node(nb, {"metadata": {"name": path.stem}})
    target.with_suffix(".html").write_text(page)
    return failure


def find_data(in_place: bool) -> None:
    """Let `fer data` find, decode and name the data, before any notebook runs."""
    if not (ROOT / "fer_utils" / "cli.py").exists():
        return
    command = [sys.executable, "-m", "fer_utils.cli", "data"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode:  # it has said why
        raise SystemExit(done.returncode)
    if in_place and "embedded sample" in done.stdout:
        raise SystemExit("committed outputs come from real FER2013: set FER_DATA")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="such as 01 or solutions/01")
    parser.add_argument("--in-place", action="store_true", help="update notebooks/")
    args = parser.parse_args()
    paths, shown, failures = select(args.notebooks), prepare_environment(), []
    find_data(args.in_place)
    for path in paths:
        start, name = time.perf_counter(), path.relative_to(NOTEBOOKS)
        failure = run_notebook(path, shown, args.in_place)
        seconds = round(time.perf_counter() - start)
        mark = "FAILED" if failure else "done"
        print(f"{name}: {mark} after {seconds // 60}:{seconds % 60:02d}", flush=True)
        if failure:
            failures.append(f"{name}, {failure}")
    print(f"\n{len(paths) - len(failures)} of {len(paths)} notebooks ran through.")
    print(f"Executed notebooks and web pages: {BUILD}")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped")
