"""The demo of notebook 06: photos in by upload or camera, faces with bars out.

Photos stay in the memory of the kernel. No widget keeps an uploaded file: the notebook
file would carry it along wherever widget state is saved.
"""

import base64
import html
from collections.abc import Callable, Sequence
from importlib.metadata import metadata
from io import BytesIO
from pathlib import Path

from PIL import Image

from .annotate import LEAST_SIDE, annotate, colour
from .config import FerError
from .labels import EMOTIONS
from .photos import Photo, open_photo
from .predict import UNSURE, Face, Predictor
from .sample import make_sample

try:
    import anywidget
    import ipywidgets as widgets
except ImportError as error:
    raise FerError(
        f'the demo needs widgets ({error}): pip install "fer-utils[demo]"'
    ) from None

HERE = Path(__file__).parent
PORTRAIT = "data/photos/astronaut.jpg"
CREDIT = "Astronaut Eileen Collins; photo: NASA, public domain"
CSS = (HERE / "web" / "demo.css").read_text()
SHOWN_SIDE = 800  # pixels, the longer side of a photo in the demo

ABOUT = """\
<p>Upload photos (JPEG, PNG, WebP, GIF or BMP, together under 10 MB), use the camera or
take the sample. The answer is the <b>perceived expression, not what the person
feels</b>. <b>Not for monitoring people</b>: in the EU, emotion recognition at work and
in education is prohibited (AI Act, Art. 5(1)(f)). Photos go to the machine that runs
this notebook and no further; nothing is stored.</p>"""


def sample_photo() -> tuple[str, Image.Image]:
    """Return a portrait and what to write under it.

    From the course's folder, else from the repository's address, else drawn by code.
    """
    try:
        file = HERE.parent / PORTRAIT
        return CREDIT, open_photo(file if file.exists() else _address(PORTRAIT))
    except (FerError, ImportError):
        images, labels, *_ = make_sample()
        drawn = Image.fromarray(images[labels == EMOTIONS.index("happy")][0])
    drawn = drawn.resize((384, 384), Image.Resampling.BICUBIC)
    return "The portrait cannot be fetched: this face is drawn by code", drawn


def _address(path: str) -> str:
    """Address of a file of the repository, in the version that is installed."""
    about = metadata("fer-utils")
    links = dict(link.split(", ", 1) for link in about.get_all("Project-URL", []))
    return f"{links['Repository']}/raw/v{about['Version']}/{path}"


def uploads(value: dict | Sequence) -> list[tuple[str, bytes]]:
    """Read `FileUpload.value`, name and bytes of each file.

    A tuple of dicts in ipywidgets 8; in 7, which Colab has, a dict by name.
    """
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def sentence(faces: Sequence[Face]) -> str:
    """Say in plain words what was found."""
    if not faces:
        return "No face was found: it may be too small, turned away or covered."
    said = [f"{_words(face)} ({face.confidence:.0%})" for face in faces]
    if len(faces) == 1:
        return f"One face: {said[0]}."
    listed = ", ".join(f"{number} {words}" for number, words in enumerate(said, 1))
    return f"{len(faces)} faces: {listed}."


def _words(face: Face) -> str:
    if face.emotion != UNSURE:
        return face.emotion
    return f"unsure, at best {max(face.probabilities, key=face.probabilities.get)}"


def card(name: str, photo: Image.Image, faces: Sequence[Face]) -> str:
    """One photo as HTML: a sentence, the photo with boxes, bars of every face."""
    words = html.escape(sentence(faces))
    zoom = -(-LEAST_SIDE // max(photo.size))  # as `annotate` enlarges small photos
    boxed = annotate(photo, faces).crop((0, 0, *(side * zoom for side in photo.size)))
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
        f"background: {colour(name)}'></b></i><em>{chance:.0%}</em></li>"
        for name, chance in face.probabilities.items()
    )
    return f"<b>{number} {face.emotion}</b><ul class='fer-bars'>{rows}</ul>"


class Camera(anywidget.AnyWidget):
    """A button that takes a photo in the browser and hands its bytes to `on_photo`."""

    _esm = (HERE / "web" / "camera.js").read_text()

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

    def __repr__(self) -> str:  # what a saved notebook keeps, so nothing of a photo
        return "The demo appears here when the notebook runs."

    def add(self, photos: list[tuple[str, Photo]]) -> None:
        """Read named photos and show them on top."""
        self.photos = [*photos, *self.photos]
        self.cards.children = (*self._read(photos), *self.cards.children)

    def _read(self, photos: list[tuple[str, Photo]]) -> list[widgets.HTML]:
        self.progress.value, self.progress.max = 0, len(photos)
        self.progress.layout.display = None
        shown = []
        for name, source in photos:
            try:
                photo = open_photo(source)
                faces = self.predictor.predict(
                    photo,
                    assume_cropped=self.cropped.value,
                    abstain_below=self.unsure.value,
                )
                shown.append(widgets.HTML(card(name, photo, faces)))
            except FerError as error:
                shown.append(widgets.HTML(_framed(name, html.escape(str(error)))))
            self.progress.value += 1
        self.progress.layout.display = "none"
        return shown

    def _again(self) -> None:
        photos = self.photos
        self._clear()
        self.add(photos)

    def _clear(self) -> None:
        cards, self.photos, self.cards.children = self.cards.children, [], ()
        for each in cards:
            each.close()  # else its state would outlive it

    def _new_upload(self) -> None:
        """Put a fresh upload button in place: it holds no file, in any version."""
        upload = widgets.FileUpload(
            accept="image/*",
            multiple=True,
            description="Upload photos",
            layout={"width": "auto"},
        )
        upload.observe(self._uploaded, "value")
        self.buttons.children = (upload, self.sample, self.clear, self.camera)

    def _uploaded(self, change) -> None:
        photos = uploads(change["new"])
        self._new_upload()
        change["owner"].close()
        self.add(photos)
