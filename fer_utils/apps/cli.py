"""The command line `fer`: data, training, evaluation, prediction, service."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Exit, Option, Typer

from ..device import profile
from ..errors import FerError, missing

app = Typer(
    help="Facial expression recognition on FER2013.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SOURCES = "Folder, CSV, archive, 'kaggle' or 'sample'; else FER_DATA, Kaggle or sample."
Data = Annotated[str | None, Option(help=SOURCES)]
WEIGHTS = "people, fer2013-labels, an .onnx or .safetensors file, or a run's folder."
Weights = Annotated[str | None, Option(help=WEIGHTS)]


@app.command("data")
def show_data(data: Data = None) -> None:
    """Find and decode FER2013; say what is in it and what is wrong with it."""
    from ..data import USAGES, load_fer2013
    from ..labels import EMOTIONS

    images = load_fer2013(data)
    print(images)
    print(f"\n{'':12}" + "".join(f"{name:>10}" for name in EMOTIONS))
    for usage in USAGES:
        counts = images.select(images.usage == usage).counts()
        print(f"{usage:12}" + "".join(f"{count:>10,}" for count in counts))
    audit = images.audit()
    copies = ", ".join(f"{count:,} in {usage}" for usage, count in audit.copies.items())
    print(f"\nredundant copies: {audit.redundant:,}")
    print(f"also in Training: {copies}")
    print(f"identical images with different labels: {audit.conflicting:,} groups")
    print(f"images of a single grey value: {audit.blank:,}")


@app.command()
def recipes() -> None:
    """List the named recipes and say what each is for."""
    from ..training import recipe, recipe_names

    for name in recipe_names():
        print(f"{name:20} {recipe(name).why}")


def parse_settings(settings: list[str]) -> dict[str, object]:
    """Read `key=value` texts; values as in TOML, plain words as text."""
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise FerError(f"--set {setting!r}: expected key=value, as in lr=0.002")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text.strip()
    return values


def fitting_protocol(protocol: str, images) -> str:
    """Return the protocol, or the only one for which the data has all parts."""
    if protocol in images.protocols or len(images.protocols) != 1:
        return protocol
    test = "on the other images" if set(images.usage) - {"Training"} else "on nothing"
    print(
        f"{protocol!r} needs Training, PublicTest and PrivateTest; using the protocol "
        f"'course': a fifth of Training to choose the epoch, tested {test}"
    )
    return "course"


@app.command()
def train(
    name: Annotated[str, Argument(metavar="RECIPE", help="See 'fer recipes'.")],
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe."),
    ] = None,
    data: Data = None,
    folder: Annotated[
        Path | None, Option(help="Else runs/PROFILE/RECIPE-seedSEED.")
    ] = None,
    again: Annotated[bool, Option("--again", help="Start over.")] = False,
    test: Annotated[bool, Option(help="Score the test part, at the end.")] = True,
) -> None:
    """Train a recipe; a stopped training goes on, a finished one is only scored."""
    from ..data import load_fer2013
    from ..training import recipe, train

    chosen = recipe(name, **parse_settings(settings or []))
    images = load_fer2013(data)
    if "protocol=" not in "".join(settings or []).replace(" ", ""):
        chosen = chosen.with_(protocol=fitting_protocol(chosen.protocol, images))
    print(f"{images}\nrecipe {name}, profile {profile()}: {chosen.why}")
    parts = chosen.split(images)
    try:
        run = train(chosen, parts.train, parts.val, folder, again)
    except KeyboardInterrupt:
        again = "the same command without --again goes on from here"
        print(f"\nfer: stopped; {again}", file=sys.stderr)
        raise Exit(130) from None
    if os.environ.get("RANK", "0") != "0":  # torchrun: the first process goes on
        return
    print(f"{run}, {run.record.took}; kept epoch {run.best['epoch']}")
    for part in ("val", "test") if test and len(parts.test) else ("val",):
        print(f"{part:5} {run.scores(part) or run.evaluate(images, part)}")
    print(f"kept in {run.folder}")


@app.command()
def evaluate(
    folder: Annotated[Path, Argument(metavar="RUN", help="A run's folder.")],
    data: Data = None,
    part: Annotated[str, Option(help="val, or test when all is decided.")] = "val",
    views: Annotated[int, Option(help="Views of each face: 1, 2 or 6.")] = 2,
) -> None:
    """Score a run and keep the scores in its record."""
    from ..data import load_fer2013
    from ..training import Run
    from .score_file import per_class

    run = Run.load(folder)
    scores = run.evaluate(load_fer2013(data), part, views)
    print(f"{part:5} {scores}")
    if labels := run.scores(part, views, label_head=True):
        print(f"its label head: {labels}")
    print()
    print("\n".join(per_class(scores)))


@app.command("score")
def score_predictions(
    predictions: Annotated[
        Path, Argument(metavar="CSV", help="A row an image; see below.")
    ],
    data: Data = None,
    part: Annotated[
        str, Option(help="test (PrivateTest) or val (PublicTest).")
    ] = "test",
) -> None:
    """Score anybody's predictions: full, clean, 95 % intervals, agreement with people.

    Seven columns named after the expressions hold probabilities, or one column
    `prediction` the answer. The rows are in FER2013's order, or have the images' file
    names in a column `name`. FER_VOTES names the FER+ votes.
    """
    from ..data import load_fer2013
    from ..lazy import need

    need("torch pandas sklearn", "scoring predictions", "course")
    from .score_file import score_file

    print(score_file(predictions, load_fer2013(data), part))


@app.command()
def export(
    run: Annotated[Path, Argument(metavar="RUN", help="A run, or its weights.")],
    out: Annotated[Path, Argument(metavar="OUT.onnx", help="The file to write.")],
    int8: Annotated[
        bool, Option("--int8", help="Whole numbers: half the size, and quicker.")
    ] = False,
    data: Data = None,
) -> None:
    """Write a network to one ONNX file that answers without PyTorch.

    Its answers to PublicTest are compared with the original's. `--int8` is calibrated
    on a thousand Training faces.
    """
    from ..data import load_fer2013
    from .export import export_run

    export_run(run, out, int8, load_fer2013(data))


@app.command()
def predict(
    photos: Annotated[
        list[str],
        Argument(
            metavar="PHOTO", help="Photos, folders, http(s) addresses; or videos."
        ),
    ],
    engine: Annotated[
        Literal["loop", "ray"],
        Option(
            help="ray: all cores or a cluster; the last PHOTO names a new folder, "
            "for parquet tables."
        ),
    ] = "loop",
    json: Annotated[bool, Option("--json", help="A line of JSON a photo.")] = False,
    csv: Annotated[bool, Option("--csv", help="A line of CSV a face.")] = False,
    annotate: Annotated[
        Path | None,
        Option(metavar="OUT", help="Folder for drawn copies; an .mp4 for one video."),
    ] = None,
    every: Annotated[
        float, Option(help="Seconds from one frame of a video to the next.")
    ] = 0.2,
    views: Annotated[int | None, Option(help="Views of a face: 1, 2 or 6.")] = None,
    cropped: Annotated[
        bool, Option("--cropped", help="Each photo is just a face.")
    ] = False,
    min_size: Annotated[
        int | None, Option(help="Pixels of the smallest face, after shrinking.")
    ] = None,
    search_size: Annotated[
        int | None, Option(help="Pixels to which larger photos are shrunk.")
    ] = None,
    unsure_below: Annotated[
        float, Option(min=0, max=1, help="Less confidence is called 'unsure'.")
    ] = 0.0,
    weights: Weights = None,
) -> None:
    """Find the faces in photos or videos and name the expression that each shows.

    A photo that cannot be used is named on stderr and skipped; the exit code is then 1.
    `fer predict --engine ray PHOTOS TABLES` writes parquet tables, in which such a
    photo is a row with its error; after a stop, the same command goes on.
    """
    from ..photos import Predictor
    from .predict_files import predict_all

    if json and csv:
        raise FerError("--json and --csv exclude each other; choose one of them")
    style = "json" if json else "csv" if csv else "text"
    options = dict(
        views=views,
        assume_cropped=cropped or "auto",
        abstain_below=unsure_below,
    )
    sizes = {"min_size": min_size, "search_size": search_size}
    options |= {key: size for key, size in sizes.items() if size is not None}
    predictor = Predictor.load(weights)
    if engine == "loop":
        failed = predict_all(predictor, photos, style, annotate, every, **options)
    else:
        failed = predict_at_scale(predictor, photos, style, annotate, options)
    if failed:
        raise Exit(1)


def predict_at_scale(predictor, photos, style, annotate, options) -> int:
    """Predict with Ray, into tables; return how many photos have an error."""
    if style != "text" or annotate:
        raise FerError(
            "--engine ray writes tables; leave --json, --csv, --annotate out"
        )
    if len(photos) < 2:
        what = "name the photos, and last a folder for the tables"
        raise FerError(f"--engine ray needs two names; {what}")
    try:
        from .predict_ray import predict_with_ray
    except ImportError as error:
        raise missing("--engine ray", "scale", error) from None
    out = Path(photos[-1])
    try:
        failed = predict_with_ray(predictor, photos[:-1], out, **options)
    except KeyboardInterrupt:
        print("\nfer: stopped; the same command goes on from here", file=sys.stderr)
        raise Exit(130) from None
    print(f"The tables are in {out}; pandas.read_parquet reads the folder.")
    if failed:
        print(f"fer: photos with an error: {failed}; see there", file=sys.stderr)
    return failed


@app.command()
def serve(
    host: Annotated[
        str, Option(help="0.0.0.0 lets other machines reach it; there is no login.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="0 takes any free port.")] = 8000,
    allow_urls: Annotated[
        bool, Option("--allow-urls", help="Also read photos by their address.")
    ] = False,
    weights: Weights = None,
    log: Annotated[
        bool, Option("--log", help="A line of JSON a request, without the photo.")
    ] = False,
) -> None:
    """Serve the web page and the REST API; needs the extra 'serve'."""
    try:
        from .service import serve
    except ImportError as error:
        raise missing("'fer serve'", "serve", error) from None
    serve(host, port, allow_urls, weights, log)


def main() -> None:
    """Run `fer`; a problem the user can solve is one line on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        # A file gets UTF-8 whatever the system's habit, so that it holds every name;
        # a terminal that lacks a character gets ? for it.
        encoding = None if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="replace")
    try:
        app()
    except (ModuleNotFoundError, FerError, OSError) as error:
        if isinstance(error, ModuleNotFoundError):
            error = missing("this command", "course", error)
        print(f"fer: {error}", file=sys.stderr)
        sys.exit(1)
