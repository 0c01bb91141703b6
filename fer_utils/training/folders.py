"""Where runs lie: by profile, data, recipe and seed; and those on record."""

from pathlib import Path

from ..config import config
from ..data import FER2013
from ..device import profile
from ..errors import FerError
from .recipes import Recipe
from .runs import Run, fingerprint


def records() -> dict[str, Run]:
    """Return the trainings on record, by name: the course's, and those made here.

    The course's come without weights; the report is drawn from them, and lessons show
    them where a training takes too long. Those made here lie in `<FER_RUNS>/records`
    (`fer train NAME --folder runs/records/NAME`), and count when they are finished.
    """
    package = Path(__file__).parents[1]
    folders = (package.parent / "report" / "runs", package / "records")
    course = next(folder for folder in folders if folder.is_dir())
    found = {}
    for home in (course, config.runs / "records"):
        for path in sorted(home.glob("*/run.json")):
            run = Run.load(path.parent)
            if run.finished:
                found[path.parent.name] = run
    return found


def home(data: FER2013, profile_name: str | None = None) -> Path:
    """Return the folder for runs of a profile on this data: `runs/cpu`, say."""
    return config.runs / ((profile_name or profile()) + "-sample" * data.drawn)


def default_folder(recipe: Recipe, train: FER2013, val: FER2013) -> Path:
    """Return where a training's run goes: `runs/cpu/laptop-seed0`, if it is free.

    A run with other settings or other images keeps its folder: a learner who changes a
    recipe loses nothing, and the new run goes to `laptop-seed0-2`.
    """
    first = home(train) / f"{recipe.name}-seed{recipe.seed}"
    digest = fingerprint(train, val)
    folder, number = first, 1
    while (folder / "run.json").exists():
        try:
            if not Run.load(folder).differences(recipe, digest):
                break
        except FerError:  # damaged: opening it says so, `again` deletes it
            break
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def find_run(name: str, seed: int, data: FER2013) -> Path:
    """Return the folder of an earlier run on this data, the newest of several.

    `name`: a recipe (then its run of this seed), a recipe with a seed (wide-cnn-seed2),
    or a folder.
    """
    for folder in (Path(name), config.runs / name, config.runs / "records" / name):
        if folder.is_dir():
            return folder
    own = home(data) / (name if "-seed" in name else f"{name}-seed{seed}")
    later = own.parent.glob(f"{own.name}-[0-9]*")  # see default_folder
    return max(later, key=lambda path: int(path.name.rpartition("-")[2]), default=own)
