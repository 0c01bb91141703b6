"""Sphinx's settings for the course's web site; tools/web_site.py calls it."""

project = "Facial expression recognition, step by step"
html_title = "FER, step by step"
author = "the authors of fer-utils"
copyright = "the authors of fer-utils, MIT licence"  # Sphinx's own name for it

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["try"]
suppress_warnings = ["mystnb.unknown_mime_type"]  # of widgets, which need a kernel
nitpicky = False

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs are those of one clean run on FER2013
nb_ipywidgets_js: dict = {}  # nothing from a CDN

default_role = "literal"  # `name` in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "path_to_docs": "",
    "repository_branch": "main",
    "navbar_persistent": [],  # the search is in the menu
    "use_repository_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "toc_title": "On this page",
}


def setup(app) -> None:
    """Show pydantic's models with the names of their fields: the types fill a page."""
    app.connect("autodoc-process-signature", _fields)


def _fields(app, what, name, of, options, signature, returned):
    if what == "class" and hasattr(of, "model_fields"):
        return f"({', '.join(of.model_fields)})", None
