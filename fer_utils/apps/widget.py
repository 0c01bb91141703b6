"""The demo of notebook 06: photos in by upload or camera, faces with bars out.

Photos stay in the memory of the kernel. No widget keeps an uploaded file: the notebook
file would carry it along wherever widget state is saved.
"""

import base64
import html
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from ..errors import FerError, missing
from ..labels import UNSURE, class_colour
from ..photos import PORTRAIT, Face, Photo, Predictor, annotate, open_photo

try:
    import anywidget
    import ipywidgets as widgets
except ImportError as error:
    raise missing("the demo", "demo", error) from None

HERE = Path(__file__).parent
CREDIT = "Astronaut Eileen Collins; photo: NASA, public domain"
CSS = (HERE / "web" / "demo.css").read_text("utf-8")
ABOUT = (HERE / "web" / "demo.html").read_text("utf-8")
SHOWN_SIDE = 800  # pixels, the longer side of a photo in the demo


def sample_photo() -> tuple[str, Image.Image]:
    """Return what to write under a portrait, and the portrait."""
    return CREDIT, open_photo(PORTRAIT)


def uploads(value: dict | Sequence) -> list[tuple[str, bytes]]:
    """Read `FileUpload.value`: name and bytes of each file.

    A tuple of dicts in ipywidgets 8; in 7, which Colab has, a dict by name.
    """
    if isinstance(value, dict):
        value = [file | {"name": name} for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def sentence(faces: Sequence[Face]) -> str:
    """Say in plain words what was found."""
    if not faces:
        return "No face was found: it may be too small, turned away or covered."
    said = []
    for face in faces:
        likeliest = max(face.probabilities, key=face.probabilities.get)
        doubt = "unsure, at best " if face.emotion == UNSURE else ""
        said.append(f"{doubt}{likeliest} ({face.confidence:.0%})")
    if len(faces) == 1:
        return f"One face: {said[0]}."
    listed = ", ".join(f"{number} {words}" for number, words in enumerate(said, 1))
    return f"{len(faces)} faces: {listed}."


def card(name: str, photo: Image.Image, faces: Sequence[Face]) -> str:
    """One photo as HTML: a sentence, the photo with boxes, bars of every face."""
    words = html.escape(sentence(faces))
    boxed = annotate(photo, faces, panel=False)
    boxed.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    file = BytesIO()
    boxed.save(file, "JPEG", quality=88)
    data = base64.b64encode(file.getvalue()).decode()
    picture = f'<img alt="{words}" src="data:image/jpeg;base64,{data}">'
    bars = "".join(_bars(number, face) for number, face in enumerate(faces, 1))
    return _framed(name, words, f"{picture}<div>{bars}</div>")


def _framed(name: str, words: str, content: str = "") -> str:
    title = f"<p><b>{html.escape(name)}</b> · <span role=status>{words}</span></p>"
    return f'<div class="fer-card">{title}{content}</div>'


def _bars(number: int, face: Face) -> str:
    rows = "".join(
        f"<li><span>{name}</span><i><b style='width: {chance:.1%}; "
        f"background: {class_colour(name)}'></b></i><em>{chance:.0%}</em></li>"
        for name, chance in face.probabilities.items()
    )
    return f"<b>{number} {face.emotion}</b><ul class='fer-bars'>{rows}</ul>"


class Camera(anywidget.AnyWidget):
    """A button that takes a photo in the browser and passes its bytes to `on_photo`."""

    _esm = (HERE / "web" / "camera.js").read_text("utf-8")

    def __init__(self, on_photo: Callable[[bytes], None]):
        super().__init__()
        self.on_msg(lambda _, kind, buffers: on_photo(bytes(buffers[0])))


class Demo(widgets.VBox):
    """Upload photos or take one; every face gets a box and seven bars."""

    def __init__(self, predictor: Predictor | None = None):
        self.predictor = predictor or Predictor.load()
        self.photos: list[tuple[str, Photo]] = []
        self.camera = Camera(lambda data: self.add([("camera", data)]))
        self.sample = widgets.Button(description="Sample photo", icon="user")
        self.clear = widgets.Button(description="Clear", icon="trash")
        self.buttons = widgets.HBox(layout={"flex_flow": "row wrap"})
        self.unsure = widgets.FloatSlider(
            0.4, min=0, max=1, step=0.05, continuous_update=False,
            description="Unsure below", readout_format=".0%",
            style={"description_width": "initial"},
        )  # fmt: skip
        self.cropped = widgets.Checkbox(description="Each photo is just a face")
        self.progress = widgets.IntProgress(layout={"display": "none"})
        self.cards = widgets.VBox()
        self.sample.on_click(lambda _: self.add([sample_photo()]))
        self.clear.on_click(lambda _: self._clear())
        self.unsure.observe(lambda _: self._again(), "value")
        self.cropped.observe(lambda _: self._again(), "value")
        self._new_upload()
        options = widgets.HBox([self.unsure, self.cropped], layout=self.buttons.layout)
        parts = [self.buttons, options, self.progress, self.cards]
        super().__init__([widgets.HTML(f"<style>{CSS}</style>{ABOUT}"), *parts])

    def __repr__(self) -> str:  # a saved notebook keeps this, and nothing of a photo
        return "The demo appears here when the notebook runs."

    def add(self, photos: list[tuple[str, Photo]]) -> None:
        """Read named photos and show them on top."""
        self.photos = [*photos, *self.photos]
        self.progress.value, self.progress.max = 0, len(photos)
        self.progress.layout.display = None
        shown = []
        for name, photo in photos:
            shown.append(widgets.HTML(self._read(name, photo)))
            self.progress.value += 1
        self.progress.layout.display = "none"
        self.cards.children = (*shown, *self.cards.children)

    def _read(self, name: str, source: Photo) -> str:
        try:
            photo, options = (
                open_photo(source),
                (
                    self.cropped.value or "auto",
                    self.unsure.value,
                ),
            )
            return card(name, photo, self.predictor.predict(photo, None, *options))
        except FerError as error:
            return _framed(name, html.escape(str(error)))

    def _again(self) -> None:
        photos = self.photos
        self._clear()
        self.add(photos)

    def _clear(self) -> None:
        cards, self.photos, self.cards.children = self.cards.children, [], ()
        for each in cards:
            each.close()  # otherwise its state would outlive it

    def _new_upload(self) -> None:
        """Show a fresh upload button: it holds no file, in any version."""
        upload = widgets.FileUpload(
            accept="image/*", multiple=True, description="Upload photos",
            layout={"width": "auto"},
        )  # fmt: skip
        upload.observe(self._uploaded, "value")
        self.buttons.children = (upload, self.sample, self.clear, self.camera)

    def _uploaded(self, change) -> None:
        photos = uploads(change["new"])
        self._new_upload()
        change["owner"].close()
        self.add(photos)
