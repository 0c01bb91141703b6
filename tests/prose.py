"""Finds scores in prose: numbers that claim how good a recogniser is.

A claim is a per cent, or a share with two digits and more, in a sentence that speaks
of accuracy, PublicTest, recall and the like, or in a column of a table that does. Other
per cents ("20 % of the picture") are none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SPEAKS = re.compile(
    r"accura|publictest|privatetest|\bf1\b|macro-f1|\brecall\b|\bprecision\b|\bval\b"
    r"|validation|\btest\b|\bscores?\b|\bright (?:in|on|about)\b|\bagree|top-2"
    r"|calibration error|\breach|\bgets?\b|\bbeats?\b",
    re.IGNORECASE,
)
COLUMN = re.compile(
    r"accura|test|\bf1\b|recall|precision|\bval\b|\bfull\b|\bclean\b|score|error",
    re.IGNORECASE,
)
# A number, the numbers that share its unit ("66.8 % to 67.9 %", "65 ± 5 %"), the unit.
PERCENT = re.compile(
    r"(?<![\w.])(\d{1,3}(?:\.\d+)?)(?=(?:\s*(?:±|to|and|or|–|/|,)\s*\d{1,3}(?:\.\d+)?)*"
    r"\s*(?:%|per cent))"
)
SHARE = re.compile(r"(?<![\w.,±])(?:0?\.\d{2,5})(?![\w%]|\s*(?:%|s\b|ms\b))")
CELL = re.compile(r"(?<![\w.,])\d{0,3}\.\d+(?![\w.])")
# What stands beside scores and is none: intervals, thresholds of confidence, settings.
NO_SCORE = re.compile(
    r"(?:95|99)\s*%\s*(?:interval|confidence)"
    r"|(?:below|under|with|from|least|of|confidence|threshold)\s+\d0\s*(?:%|per cent)"
    r"|\d+\s*(?:%|per cent)\s+(?:confiden|sure|of the (?:picture|image|side|time|work))"
    r"|temperature\s+(?:of\s+)?\d*\.\d+"
    r"|(?:rate|lr|decay|smoothing|dropout|momentum|peak)\s+(?:of\s+)?\d*\.\d+",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?<![\w.])(?:\d*\.\d+|\d+(?=\s*%))(?!\w)")


class Claim(NamedTuple):
    """A score in prose: its value as a share, the precision of the text, the place."""

    value: float
    half: float  # half a unit of the last digit
    text: str
    where: str  # the sentence or the row of the table

    def held_by(self, values: Iterable[float]) -> bool:
        """Whether one of the values reads so when rounded."""
        return any(abs(v - self.value) <= self.half + 1e-9 for v in values)


def claims(markdown: str) -> list[Claim]:
    """All scores that a Markdown text states."""
    found = []
    for header, block in blocks(plain(markdown)):
        if header is None:
            found += sentence_claims(block)
        else:
            found += row_claims(header, block)
    return found


def plain(markdown: str) -> str:
    """Markdown without what is no prose: code, generated tables, addresses, Jinja."""
    for pattern in (
        r"```.*?```",
        r"<!-- (course|model|results|reference) -->\n.*?<!-- /\1 -->",
        r"\{%.*?%\}",
        r"\{\{.*?\}\}",
        r"\]\([^)]*\)",
        r"`[^`\n]*`",
        r"^(?: {4}|\t).*$",
    ):
        markdown = re.sub(pattern, " ", markdown, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\[!?|\*+", "", markdown.replace("\N{NO-BREAK SPACE}", " "))


def blocks(text: str) -> Iterator[tuple[list[str] | None, str]]:
    """Sentences as (None, sentence) and rows of tables as (header cells, row)."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*#>]|\d+\.)\s)", text):
        lines = block.strip().splitlines()
        if len(lines) > 2 and re.fullmatch(r"\|?[\s|:-]+", lines[1]):
            header = cells(lines[0])
            yield from ((header, line) for line in lines[2:])
        else:
            words = " ".join(lines)
            yield from ((None, s) for s in re.split(r"(?<=[.?!:;])\s+(?=\D)", words))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def sentence_claims(sentence: str) -> Iterator[Claim]:
    text = NO_SCORE.sub(lambda match: " " * len(match[0]), sentence)
    if not SPEAKS.search(text):
        return
    for match in PERCENT.finditer(text):
        yield claim(match[1], 100, sentence)
    for match in SHARE.finditer(text):
        yield claim(match[0], 1, sentence)


def row_claims(header: list[str], row: str) -> Iterator[Claim]:
    found = cells(row)
    speaks = bool(SPEAKS.search(found[0])) if found else False
    for name, cell in zip(header[1:], found[1:], strict=False):
        text = NO_SCORE.sub(" ", cell)
        if "%" not in text and not (speaks or COLUMN.search(name)):
            continue
        if "%" in text and not (speaks or COLUMN.search(name) or SPEAKS.search(text)):
            continue
        for match in CELL.finditer(text.partition("±")[0]):
            yield claim(match[0], 100 if float(match[0]) > 1 else 1, row)


def claim(text: str, scale: int, where: str) -> Claim:
    digits = len(text.partition(".")[2])
    return Claim(float(text) / scale, 0.5 / 10**digits / scale, text, where.strip())


def numbers(text: str) -> set[float]:
    """Decimals and per cents of an output, as shares: 67.8, 67 % and 0.678."""
    found = {float(match[0]) for match in NUMBER.finditer(text)}
    return {n for n in found if n <= 1} | {n / 100 for n in found if n <= 100}
