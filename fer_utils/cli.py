"""The command line `fer`: data, training, evaluation, prediction, service."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from .config import FerError, config, profile

app = typer.Typer(
    help="Facial expression recognition on FER2013.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Source = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Folder, CSV, archive, 'kaggle' or 'sample'; without it FER_DATA, else "
        "Kaggle, else the embedded sample.",
    ),
]


@app.command("data")
def show_data(source: Source = None) -> None:
    """Find FER2013, decode it, and say what is in it and what is wrong with it."""
    from .data import load_fer2013
    from .labels import EMOTIONS
    from .readers import USAGES

    data = load_fer2013(source)
    print(data)
    print(f"\n{'':12}" + "".join(f"{name:>10}" for name in EMOTIONS))
    for usage in USAGES:
        counts = data.select(data.usage == usage).counts()
        print(f"{usage:12}" + "".join(f"{count:>10,}" for count in counts))
    audit = data.audit()
    copies = ", ".join(f"{count:,} in {usage}" for usage, count in audit.copies.items())
    print(f"\nredundant copies: {audit.redundant:,}")
    print(f"also in Training: {copies}")
    print(f"identical images with different labels: {audit.conflicting:,} groups")
    print(f"images of one single grey value: {audit.blank:,}")


@app.command()
def recipes() -> None:
    """List the named recipes and why each is there."""
    from .recipes import recipe, recipe_names

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


@app.command()
def train(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="See 'fer recipes'.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe."),
    ] = None,
    source: Source = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the run is kept [runs/<recipe>-seed<seed>]."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Delete the run there and start anew.")
    ] = False,
    test: Annotated[
        bool, typer.Option(help="Score the test part once, when all is decided.")
    ] = True,
) -> None:
    """Train a recipe; a stopped training goes on, a finished one is only scored."""
    from .data import load_fer2013
    from .evaluation import evaluate_run
    from .recipes import recipe
    from .training import train

    chosen = recipe(name, **parse_settings(settings or []))
    data = load_fer2013(source)
    print(f"{data}\nrecipe {name}, profile {profile()}: {chosen.why}")
    selected = data if chosen.classes == "all" else data.with_classes(chosen.classes)
    parts = selected.split(chosen.protocol, chosen.seed)
    try:
        run = train(chosen, parts.train, parts.val, folder, again)
    except KeyboardInterrupt:
        print(
            "\nfer: stopped; the same command without --again goes on from here",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    if os.environ.get("RANK", "0") != "0":  # torchrun: the first process goes on
        return
    print(
        f"{run}, {run.record['seconds']:,.0f} s on {run.record['hardware']['cores']} "
        f"cores ({run.record['hardware']['device']}); kept epoch {run.best['epoch']}"
    )
    for part in ("val", "test") if test else ("val",):
        if part not in run.record["scores"]:
            evaluate_run(run, data, part)
        print_scores(part, run.record["scores"][part])
    print(f"kept in {run.folder}")


@app.command()
def suite(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RECIPE", help="These only.")
    ] = None,
    chosen: Annotated[
        str | None, typer.Option("--profile", help="full or cpu [by hardware].")
    ] = None,
    source: Source = None,
    records: Annotated[
        Path | None, typer.Option(help="Where records are kept [report/runs].")
    ] = None,
) -> None:
    """Train every recipe on record again, and draw the report from the new runs.

    What is finished is skipped, what was stopped goes on.
    """
    from .data import load_fer2013
    from .suite import COURSE, RECORDS, duration, plan, run_suite, train_apart

    chosen = chosen or profile()
    data = load_fer2013(source)
    clone = records is None and RECORDS.is_dir()
    if records is None:
        records = RECORDS if clone else config.runs / "records"
        if chosen == "quick" or data.source == "the embedded sample":
            raise FerError(
                f"profile {chosen}, {data.source}: no scores to keep on record. Set "
                "FER_DATA and --profile cpu or full, or name a folder with --records"
            )
    jobs = plan(names or (), chosen, records)
    known = [job.before["seconds"] for job in jobs if job.before]
    print(f"{data}\nprofile {chosen}: {len(jobs)} trainings, records in {records}")
    print(f"{len(known)} of them are on record; they took {duration(sum(known))}")
    try:
        failed = run_suite(jobs, data, lambda job: train_apart(job, chosen, source))
    except KeyboardInterrupt:
        print("\nfer: stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"\n{len(jobs) - len(failed)} of {len(jobs)} records kept in {records}")
    script = COURSE / "tools" / "report.py"
    if clone and script.exists() and subprocess.call([sys.executable, script]):
        failed.append("the report")
    if failed:
        print(
            "fer: the same command tries again what failed:\n  " + "\n  ".join(failed),
            file=sys.stderr,
        )
        raise typer.Exit(1)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    source: Source = None,
    part: Annotated[
        str, typer.Option(help="val, or test when all is decided.")
    ] = "val",
    looks: Annotated[
        int, typer.Option(help="Looks at each face, averaged: 1, 2 (mirrored) or 6.")
    ] = 2,
) -> None:
    """Score a run and put the scores on its record."""
    from .data import load_fer2013
    from .evaluation import evaluate_run, scores_name
    from .run import Run

    run = Run.load(folder)
    evaluate_run(run, load_fer2013(source), part, looks)
    scores = run.record["scores"][scores_name(part, looks)]
    print_scores(part, scores, per_class=True)


def print_scores(part: str, scores: dict, per_class: bool = False) -> None:
    """Print what `run.json` says of a part."""
    clean = scores["clean"]["accuracy"] if scores["clean"] else scores["accuracy"]
    print(
        f"{part:5} accuracy {scores['accuracy']:.4f} (clean {clean:.4f}), macro-F1 "
        f"{scores['macro_f1']:.4f}, calibration error {scores['calibration_error']:.3f}"
    )
    if per_class:
        print(f"\n{'':14}precision  recall      f1  images")
        for name, row in scores["per_class"].items():
            print(
                f"{name:14}{row['precision']:9.3f}{row['recall']:8.3f}{row['f1']:8.3f}"
                f"{row['support']:8,}"
            )


@app.command()
def predict(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO", help="Photos, folders, http(s) addresses."),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each photo.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="One line of CSV for each face.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--annotate", metavar="OUT", help="Folder for drawn copies."),
    ] = None,
    looks: Annotated[
        int | None,
        typer.Option(help="Looks at each face: 1, 2 or 6. [default: the weights' own]"),
    ] = None,
    cropped: Annotated[
        bool, typer.Option("--cropped", help="Each photo is a face; do not search.")
    ] = False,
    unsure_below: Annotated[
        float, typer.Option(min=0, max=1, help="Less confidence is called 'unsure'.")
    ] = 0.0,
    weights: Annotated[
        str | None, typer.Option(help="Weights or a run's folder; else the shipped.")
    ] = None,
) -> None:
    """Find the faces in photos and name the expression that each shows.

    A photo that cannot be used is named on stderr and skipped; the exit code is then 1.
    """
    from .batch import predict_all
    from .predict import Predictor

    if as_json and as_csv:
        raise FerError("--json or --csv, not both")
    style = "json" if as_json else "csv" if as_csv else "text"
    options = dict(looks=looks, assume_cropped=cropped, abstain_below=unsure_below)
    if predict_all(Predictor.load(weights), photos, style, out, **options):
        raise typer.Exit(1)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="0.0.0.0: others can reach it; there is no login.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8000,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="Also read photos by their address.")
    ] = False,
    weights: Annotated[
        str | None, typer.Option(help="Weights or a run's folder; else the shipped.")
    ] = None,
) -> None:
    """Serve the web page and the REST API; needs the extra 'serve'."""
    try:
        from .serve import serve
    except ModuleNotFoundError as error:
        raise FerError(
            f"'fer serve' needs {error.name}: pip install 'fer-utils[serve]'"
        ) from None
    serve(host, port, allow_urls, weights)


def main() -> None:
    """Run `fer`; a problem the user can mend is one line on stderr and exit code 1."""
    for stream in (sys.stdout, sys.stderr):  # an ASCII terminal gets ? for ·
        stream.reconfigure(errors="replace")
    try:
        app()
    except (FerError, OSError) as error:
        print(f"fer: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
