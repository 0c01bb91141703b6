"""What only a notebook shows: sentences with computed numbers, and a large banner."""

import sys
from inspect import cleandoc

BANNER = """\
<div style="border: 3px solid #d55e00; border-radius: 8px; padding: 0.6em 1em; \
font-size: 1.6em; line-height: 1.3">{title}<div style="font-size: 0.6em">{text}</div>\
</div>"""


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, not in a terminal's IPython."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


def say(markdown: str) -> None:
    """Show Markdown below the cell; outside a notebook, print it.

    A sentence that states a number is made by the cell that measured it, so that text
    and number cannot disagree: `say(f"The network is right on **{share:.1%}**.")`
    """
    text = cleandoc(markdown)
    if not in_notebook():
        print(text)
        return
    from IPython.display import Markdown, display

    display(Markdown(text))


def banner(title: str, text: str) -> None:
    """Show two lines of HTML that nobody overlooks; outside a notebook, nothing."""
    if in_notebook():
        from IPython.display import HTML, display

        display(HTML(BANNER.format(title=title, text=text)))
