"""The one kind of error that users meet; its message says what to do next."""

from collections.abc import Iterable


class FerError(ValueError):
    """A problem the user can solve; the message says what was wrong and what to do."""


class PhotoError(FerError):
    """A photo that cannot be used; `kind` says why, for programs.

    `unsupported` (not a photo, or not an accepted format), `broken`, `empty`, `missing`
    (no such file), `too_large` (bytes or pixels), `too_small`, `no_face`; of addresses,
    `private` (not on the public web), `timeout` (too slow), `url` (all else).
    """

    def __init__(self, message: str, kind: str = "broken"):
        super().__init__(message)
        self.kind = kind


def first_problem(problems: list[dict], noun: str, known: Iterable[str]) -> str:
    """Return in one line what pydantic found wrong first: where, and which value.

    `noun` is what the fields are called, `known` their names.
    """
    first = problems[0]
    name = shorten(".".join(str(part) for part in first["loc"] if part != "body"), 40)
    if first["type"] == "extra_forbidden":
        return f"no {noun} {name!r}; {noun}s: {', '.join(known)}"
    what = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    value = first.get("input")
    given = "" if isinstance(value, dict | list) else f" = {shorten(repr(value), 60)}"
    return f"{name}{given}: {what}" if name else what


def missing(what: str, extra: str, error: ImportError) -> FerError:
    """Return the error that names a missing package and the extra that brings it."""
    return FerError(f"{what} needs more ({error}): pip install 'fer-utils[{extra}]'")


def shorten(text: object, length: int = 80) -> str:
    """Return a user's text, short enough to quote: one line, its middle left out."""
    line = " ".join(str(text)[: 4 * length].split())
    if len(line) <= length and len(str(text)) <= 4 * length:
        return line
    half = length // 2
    return f"{line[: half - 1]}…{' '.join(str(text)[-half:].split())}"


def reason(error: Exception) -> str:
    """Return what another library's error says, short enough to quote in ours."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0][:200]
