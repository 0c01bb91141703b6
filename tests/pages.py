"""What the tests of the two pages share: the service's, and that without a server."""

from contextlib import contextmanager

from fer_utils.photos import PORTRAIT


@contextmanager
def watched(page, url: str, methods: tuple[str, ...] = ("GET", "POST")):
    """Open `url`; an error that the page logs, or a request elsewhere, fails the test.

    Its threads' requests count, too; `methods` are those that it may use.
    """
    errors, outside = [], []
    page.on("pageerror", lambda error: errors.append(error))

    def left(sent):
        own = sent.url.startswith((url, f"blob:{url}"))
        if not own or sent.method not in methods:
            outside.append(f"{sent.method} {sent.url}")

    page.context.on("request", left)
    page.goto(url)
    page.get_by_text("Model:").wait_for()
    yield page
    page.context.close()
    assert not errors
    assert not outside, "something is loaded from elsewhere, or sent there"


def sentence(page) -> str:
    """Return what the page says, when it has done its work."""
    page.wait_for_selector("body:not(.busy)")
    return page.get_by_role("status").inner_text()


def choose_by_keyboard(page) -> None:
    """Press the focused button, which must ask for a file; give it the portrait.

    The dialog itself is left out: now and then Chromium does not tell that it opened.
    """
    page.evaluate(
        "() => document.getElementById('file').addEventListener('click', (event) => {"
        "event.preventDefault(); window.asked = navigator.userActivation.isActive; })"
    )
    page.keyboard.press("Enter")
    assert page.evaluate("() => window.asked")
    page.set_input_files("#file", PORTRAIT)


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def assert_fits_a_phone(page) -> None:
    """Show the portrait; nothing may reach beyond PHONE's width."""
    page.set_input_files("#file", PORTRAIT)
    assert seen(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def seen(page) -> str:
    """Wait for a box; return what its label says."""
    page.wait_for_selector(".box")
    return page.locator(".box").first.get_attribute("aria-label")
