"""Markdown → one web page with everything inside, and a PDF; no browser, no network.

The PDF is set by Typst, whose compiler and fonts come in one Python wheel. Both outputs
are the same bytes for the same text and pictures: no dates, no system fonts.
"""

import base64
import html
import json
import re
from pathlib import Path

import mistune
import typst
from PIL import Image

# A paragraph `Table: …` is the caption of the table that follows it.
CAPTION = "Table: "
INCHES = 9  # a picture as wide as this fills the page, smaller ones keep their scale

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def web_page(markdown: str, folder: Path) -> str:
    """Return a page that needs no other file: pictures of `folder` are inside."""
    page = mistune.create_markdown(renderer=Web(folder), plugins=["table"])
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    body = re.sub(r"<p>Table: (.*?)</p>", r'<p class="caption">\1</p>', page(markdown))
    parts = re.findall(r'<h2 id="(.*?)">(.*?)</h2>', body)
    items = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in parts)
    contents = (
        f"<nav><details><summary>Contents</summary><ol>{items}</ol></details></nav>"
    )
    body = body.replace("</h1>\n", f"</h1>\n{contents}\n", 1)
    return PAGE.format(title=html.escape(title(markdown)), style=style, body=body)


def pdf(markdown: str, root: Path, keywords: str = "") -> bytes:
    """Return the PDF; pictures are looked up from `root`/report."""
    body = mistune.create_markdown(renderer=Paper(), plugins=["table"])(markdown)
    head = f"#let title = {json.dumps(title(markdown))}\n"
    head += f"#let keywords = {json.dumps(keywords)}\n"
    style = Path(__file__).with_name("report.typ").read_text("utf-8")
    return typst.compile(
        (head + style + body).encode(),
        root=root / "report",
        ignore_system_fonts=True,
        format="pdf",
        timestamp=0,
    )


def title(markdown: str) -> str:
    """The text of the first heading."""
    return markdown.lstrip().partition("\n")[0].lstrip("# ").strip()


def slug(text: str) -> str:
    """What a heading is called in links, as GitHub does it."""
    words = re.sub(r"<[^>]+>|[^\w\s-]", "", text.lower())
    return re.sub(r"\s", "-", words.strip())


class Web(mistune.HTMLRenderer):
    """HTML with pictures inside, headings to link to, and tables that scroll."""

    def __init__(self, folder: Path):
        super().__init__(escape=True)
        self.folder = folder

    def heading(self, text: str, level: int, **attrs) -> str:
        return f'<h{level} id="{slug(text)}">{text}</h{level}>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        data = base64.b64encode((self.folder / url).read_bytes()).decode()
        width = inches(self.folder / url)
        plain = html.escape(re.sub(r"<[^>]+>", "", text), quote=True)
        share = min(1, width / INCHES)
        kind = ' class="wide"' if share > 0.75 else ""
        return (
            f'<figure{kind} style="--wide: {share:.0%}">'
            f'<div><img src="data:image/png;base64,{data}" alt="{plain}"></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def paragraph(self, text: str) -> str:
        return text + "\n" if text.startswith("<figure") else f"<p>{text}</p>\n"

    def table(self, text: str) -> str:
        return f'<div class="table"><table>\n{text}</table></div>\n'


class Paper(mistune.BaseRenderer):
    """Typst markup; functions such as `#picture` are defined in report.typ."""

    NAME = "typst"

    def text(self, text: str) -> str:
        # Whatever means something to Typst is shown as it is.
        return re.sub(r"([\\#$*_`<>@~\[\]/=+\-])", r"\\\1", text)

    def emphasis(self, text: str) -> str:
        return f"#emph[{text}]"

    def strong(self, text: str) -> str:
        return f"#strong[{text}]"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if url.startswith("#"):
            return f"#link(<{url[1:]}>)[{text}]"
        return f"#link({json.dumps(url)})[{text}]"

    def codespan(self, text: str) -> str:
        return f"#raw({json.dumps(text, ensure_ascii=False)})"

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"#raw({json.dumps(code.rstrip(), ensure_ascii=False)}, block: true)\n\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"#picture({json.dumps(url)})[{text}]"

    def linebreak(self) -> str:
        return " \\\n"

    def softbreak(self) -> str:
        return "\n"

    def blank_line(self) -> str:
        return ""

    def inline_html(self, html: str) -> str:
        return ""

    def block_html(self, html: str) -> str:
        return ""

    def paragraph(self, text: str) -> str:
        if text.startswith(CAPTION):
            return f"#caption[{text.removeprefix(CAPTION)}]\n\n"
        return f"{text}\n\n"

    def block_text(self, text: str) -> str:
        return text

    def heading(self, text: str, level: int, **attrs) -> str:
        if level == 1:
            return f"#opening[{text}]\n\n"
        plain = re.sub(r"#\w+\[|[\\\]]", "", text)
        return f"#heading(level: {level - 1})[{text}] <{slug(plain)}>\n\n"

    def block_quote(self, text: str) -> str:
        return f"#notice[{text}]\n\n"

    def thematic_break(self) -> str:
        return "#line(length: 100%)\n\n"

    def list(self, text: str, ordered: bool, **attrs) -> str:
        return f"#{'enum' if ordered else 'list'}(\n{text})\n\n"

    def list_item(self, text: str) -> str:
        return f"[{text.strip()}],\n"

    def table(self, text: str) -> str:
        return f"#rows(\n{text})\n\n"

    def table_head(self, text: str) -> str:
        aligned = re.findall(r"^\[\]/\*(\w+)\*/", text, re.MULTILINE)
        cells = re.sub(r"^\[\]/\*\w+\*/", "", text, flags=re.MULTILINE)
        return f"({', '.join(aligned)},),\ntable.header(\n{cells}),\n"

    def table_body(self, text: str) -> str:
        return text

    def table_row(self, text: str) -> str:
        return re.sub(r"^\[\]/\*\w+\*/", "", text, flags=re.MULTILINE)

    def table_cell(self, text: str, align: str | None = None, **attrs) -> str:
        # The alignment goes ahead as a mark; the head keeps it, the rows drop it.
        return f"[]/*{align or 'left'}*/[{text}],\n"

    def render_token(self, token, state):
        func = self._get_method(token["type"])
        attrs = token.get("attrs") or {}
        if "raw" in token:
            return func(token["raw"], **attrs)
        if "children" in token:
            return func(self.render_tokens(token["children"], state), **attrs)
        return func(**attrs)


def inches(path: Path) -> float:
    """Width of a picture; 140 dots to the inch where it does not say."""
    with Image.open(path) as image:
        return image.width / image.info.get("dpi", (140, 140))[0]
