"""What several test files share: the command line, a web site, a browser."""

import sys

import pytest
from loopback import Site

from fer_utils.apps import cli
from fer_utils.errors import FerError
from fer_utils.photos import PORTRAIT


@pytest.fixture
def fer(monkeypatch, capsys):
    """Run `fer` in this process; return exit code, stdout, stderr."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory):
    """The folder of the page without a server; built for each test file."""
    import try_page

    try:
        return try_page.build(tmp_path_factory.mktemp("site") / "try")
    except FerError as error:
        pytest.skip(f"the page cannot be built: {error}")


@pytest.fixture(scope="module")
def page_url(page_folder):
    """The address at which that page is served."""
    from browser import serving

    with serving(page_folder) as url:
        yield url


@pytest.fixture(scope="module")
def site():
    """The address of a web site with every bad habit (`loopback.Site`)."""
    from browser import listening

    with listening(Site) as url:
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium whose camera shows the portrait."""
    from browser import chromium  # tools/; where it is missing the tests are skipped

    film = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    film.write_bytes(PORTRAIT.read_bytes())
    with chromium(camera=film) as running:
        yield running
