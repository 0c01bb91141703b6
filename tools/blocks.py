"""Texts with blocks that are written elsewhere: `<!-- name -->` … `<!-- /name -->`."""

import re

from fer_utils.errors import FerError


def read(text: str, where: str) -> dict[str, str]:
    """Return all blocks of a text by name; `where` is what an error calls it."""
    names = re.findall(r"<!-- (\w+) -->", text)
    return {name: _found(text, name, where)[0] for name in names}


def fill(text: str, blocks: dict[str, str], where: str) -> str:
    """Return a text with its blocks written anew; `FerError` if one is not there."""
    for name, inside in blocks.items():
        place = _found(text, name, where)
        text = text[: place.start()] + inside + text[place.end() :]
    return text


def _found(text: str, name: str, where: str) -> re.Match:
    inside = rf"(?s)(?<=<!-- {name} -->\n).*?(?=[ \t]*<!-- /{name} -->)"
    if found := re.search(inside, text):
        return found
    raise FerError(f"{where}: no <!-- {name} --> ... <!-- /{name} --> lines")
