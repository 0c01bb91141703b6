"""Markdown → one web page with everything inside, and a PDF; no browser, no network.

Pandoc reads the Markdown and fills the templates report.html and report.typ, which say
how it looks. Typst sets the PDF; its compiler and fonts come in one Python wheel. Both
outputs are the same bytes for the same text and pictures: no dates, no system fonts.
"""

import re
from pathlib import Path

import pypandoc
import typst
from PIL import Image

# What the report needs and nothing more, so that text such as <tag> or $1 stays text.
# `Table: …` above a table is its caption, a picture alone in a paragraph is a figure.
MARKDOWN = (
    "markdown_strict-raw_html+smart+intraword_underscores+backtick_code_blocks"
    "+pipe_tables+table_captions+implicit_figures+link_attributes"
    "+auto_identifiers+gfm_auto_identifiers+header_attributes"
)
INCHES = 9  # a picture as wide as this fills the page, smaller ones keep their scale
HIGHEST = 0.64  # of the page's width: no picture is higher than that


def web_page(markdown: str, folder: Path) -> str:
    """Return a page that needs no other file: pictures of `folder` are inside."""
    options = ("--number-sections", "--toc", "--toc-depth=2", "--embed-resources")
    # The title is the page's h1, so sections go back to h2.
    options += ("--shift-heading-level-by=1", f"--resource-path={folder}")
    return fill("report.html", "html5", read(markdown, folder), *options)


def pdf(markdown: str, root: Path, keywords: str = "") -> bytes:
    """Return the PDF; pictures are looked up from `root`/report."""
    folder = root / "report"
    same = {"format": "pdf", "ignore_system_fonts": True, "timestamp": 0}
    source, inputs = markup(markdown, folder).encode(), {"keywords": keywords}
    return typst.compile(source, root=folder, sys_inputs=inputs, **same)


def markup(markdown: str, folder: Path) -> str:
    """The same text for Typst."""
    # Pandoc leaves these as they are in table cells, where Typst takes them for lists.
    sign = r'\{"t":"Str","c":"([-+/]|=+|\d+\.)"\}'
    shown = r'{"t":"RawInline","c":["typst","\\\\\1"]}'
    text = fill("report.typ", "typst", re.sub(sign, shown, read(markdown, folder)))
    # In the appendices, which are made of figures, each stays under its heading.
    still = "#show figure.where(kind: image): set figure(placement: none)\n"
    return re.sub(r"(?m)^(?=#heading.*\[Appendix)", still, text, count=1)


def read(markdown: str, folder: Path) -> str:
    """The text as pandoc's tree: first heading as title, comments gone."""
    text = re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)
    picture = r"(?<=\]\()([\w/.-]+\.png)\)"
    text = re.sub(picture, lambda found: found[0] + size(folder / found[1]), text)
    # Pandoc makes the columns of tables with longer lines equally wide.
    options = ("--shift-heading-level-by=-1", "--columns=9999")
    return pypandoc.convert_text(text, "json", MARKDOWN, options)


def fill(template: str, to: str, tree: str, *options: str) -> str:
    path = Path(__file__).with_name(template)
    options += (f"--template={path}", "--wrap=none", "--syntax-highlighting=none")
    return pypandoc.convert_text(tree, to, "json", options)


def size(path: Path) -> str:
    """A picture's share of the width; 140 dots to the inch where it does not say."""
    with Image.open(path) as image:
        inches = image.width / image.info.get("dpi", (140, 140))[0]
        share = min(1, inches / INCHES, HIGHEST * image.width / image.height)
    return f"{{{'.wide ' * (share > 0.75)}width={share:.0%}}}"
