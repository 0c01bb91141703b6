"""What the browser tests share."""

import pytest

from fer_utils.photos import PORTRAIT


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium whose camera shows the portrait."""
    from browser import chromium  # tools/; where it is missing the tests are skipped

    film = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    film.write_bytes(PORTRAIT.read_bytes())
    with chromium(camera=film) as running:
        yield running
