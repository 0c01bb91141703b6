"""The course as a web site: it builds without a warning, asks nobody, loses no page."""

import re
import urllib.parse

import pytest

import web_site
from fer_utils.errors import FerError

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return web_site.build(tmp_path_factory.mktemp("course") / "site", with_try=False)


def pages(built):
    others = {"report", "_static"}
    return [path for path in built.rglob("*.html") if not others & {*path.parts}]


def test_every_notebook_and_every_page_is_there(built):
    for path in (web_site.ROOT / "notebooks").rglob("*.ipynb"):
        page = built / path.relative_to(web_site.ROOT).with_suffix(".html")
        assert path.read_text("utf-8").count('"image/png"') == len(
            re.findall(
                r'<img [^>]*src="[./]*_images/[^"]*\.png"', page.read_text("utf-8")
            )
        ), path.name
    for path in (web_site.ROOT / "site").glob("*.md"):
        assert (built / path.with_suffix(".html").name).exists()


def test_nothing_is_asked_of_another_host(built):
    loads = r'<(?:script|img|link rel="(?:stylesheet|preload|icon)")[^>]*(?:src|href)="'
    for page in pages(built):
        assert not re.findall(loads + r"(?:https?:)?//[^\"]*", page.read_text("utf-8"))


def test_links_within_the_site_lead_somewhere(built):
    missing = set()
    for page in pages(built):
        for link in re.findall(r'href="([^"#]+)[^"]*"', page.read_text("utf-8")):
            address = urllib.parse.urlsplit(link)
            if not address.scheme and not address.netloc:
                target = page.parent / urllib.parse.unquote(address.path)
                if "try/" not in link and not target.exists():
                    missing.add((page.name, link))
    assert not missing


def test_solutions_are_folded_and_badges_are_gone(built):
    solution = (built / "notebooks/solutions/03_training.html").read_text("utf-8")
    assert "Show code cell source" in solution
    assert not any("colab-badge" in page.read_text("utf-8") for page in pages(built))


def test_errors_of_all_notebooks_stand_in_one_table(built):
    text = (built / "errors.html").read_text("utf-8")
    assert text.count("<tr") > 40
    assert 'href="notebooks/06_upload_and_predict.html"' in text


def test_search_knows_the_terms(built):
    index = (built / "searchindex.js").read_text("utf-8").lower()
    assert all(term in index for term in ("grad", "softmax", "mcnemar", "prometheus"))


def test_only_its_own_folder_is_replaced(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(FerError, match="something else"):
        web_site.build(tmp_path)
    assert (tmp_path / "letter.txt").exists()
