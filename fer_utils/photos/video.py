"""A video → who shows which expression when; every few frames are looked at."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from PIL import Image
from tqdm.auto import tqdm

from ..errors import FerError, PhotoError, reason, shorten
from ..files import whole_file
from ..lazy import need
from .annotate import annotate as drawn
from .face import Face, Sighting
from .open import MAX_PIXELS, is_address
from .track import Tracker

VIDEOS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv"}
LEAST_EVERY, MOST_EVERY = 0.01, 3600.0  # seconds
HIGHEST_RATE = 120  # frames a second of a drawn copy
TICK = Fraction(1, 12_000)  # of a second: the clock of a drawn copy


def is_video(path: str | os.PathLike) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in VIDEOS


def follow(
    look: Callable[[Image.Image], list[Face]],
    path: str | os.PathLike,
    every: float,
    annotate: str | os.PathLike | None,
    abstain_below: float,
    progress: bool,
) -> list[Sighting]:
    """Return who is seen when; `look` finds the faces in a frame.

    The rest is told by `Predictor.predict_video`.
    """
    if not isinstance(every, int | float) or not LEAST_EVERY <= every <= MOST_EVERY:
        why = f"every = {every!r}: give seconds between {LEAST_EVERY} and {MOST_EVERY}"
        raise FerError(why)
    tracker, sightings = Tracker(abstain_below), []
    with _opened(path) as video, _drawing(annotate, video) as draw:
        bar = tqdm(total=video.seconds, unit="s", disable=not progress, leave=False)
        bar.bar_format = "{l_bar}{bar}| {n:.0f} of {total_fmt} s, {remaining} left"
        with bar:
            due, seen = 0.0, []
            for time, frame in video.frames():
                if time >= due - 1e-3:  # times are rounded, too
                    seen = tracker.add(time, look(upright(frame)))
                    sightings += seen
                    due = max(due + every, time + every / 2)
                    bar.update(time - bar.n)
                draw(time, frame, seen)
    return sightings


def upright(frame) -> Image.Image:
    """Return a frame as an image, turned as the file says: phones film lying down."""
    image = frame.to_image()
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


class _Video:
    """An open video: its first stream of pictures."""

    def __init__(self, container, name: str):
        self.container, self.name = container, name
        if not container.streams.video:
            raise PhotoError(f"{name} holds no pictures; give a video", "unsupported")
        self.stream = container.streams.video[0]
        self.stream.thread_type = "AUTO"
        width, height = self.stream.width, self.stream.height
        if not 0 < width * height <= MAX_PIXELS:
            why = f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} million"
            raise PhotoError(f"{name} has frames of {why} are accepted", "too_large")
        length = container.duration  # microseconds, where the file says so
        self.seconds = round(length / 1e6, 1) if length and length > 0 else None
        rate = float(self.stream.average_rate or 0)
        self.rate = min(rate, HIGHEST_RATE) if rate > 0 else 25.0

    def frames(self) -> Iterator[tuple[float, object]]:
        """Yield seconds from the start, and frame; `PhotoError` if there is none."""
        start, last = None, -1.0
        try:
            for number, frame in enumerate(self.container.decode(self.stream)):
                time = number / self.rate if frame.time is None else float(frame.time)
                start = time if start is None else start
                if time - start > last:  # damaged files jump back
                    last = time - start
                    yield last, frame
        except PhotoError:
            raise
        except Exception as error:  # a crafted file can fail anywhere in a decoder
            why = shorten(reason(error))
            if start is None:
                raise PhotoError(f"{self.name} is damaged ({why})") from None
            where = f"after {last:.1f} s ({why}); what comes before is answered"
            tqdm.write(f"{self.name} is damaged {where}")
        if start is None:
            raise PhotoError(f"{self.name} holds no readable frame")


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[_Video]:
    need("av", "reading videos", "video")
    import av

    if not isinstance(path, str | os.PathLike):
        kind = type(path).__name__
        raise PhotoError(
            f"a video cannot be of type {kind}; give a path", "unsupported"
        )
    name = shorten(os.fspath(path))
    if isinstance(path, str) and is_address(path):
        raise PhotoError(f"{name}: videos are not downloaded; save it first", "url")
    if not Path(path).is_file():
        raise PhotoError(f"{name}: there is no such file", "missing")
    try:
        container = av.open(os.fspath(path), metadata_errors="ignore")
    except Exception as error:
        why = f"not a video that can be read ({shorten(reason(error))})"
        raise PhotoError(f"{name} is {why}") from None
    with container:
        try:
            video = _Video(container, name)
        except (AttributeError, ValueError, TypeError) as error:  # a damaged header
            if isinstance(error, PhotoError):
                raise
            raise PhotoError(f"{name} is damaged ({shorten(reason(error))})") from None
        yield video


@contextmanager
def _drawing(path: str | os.PathLike | None, video: _Video) -> Iterator[Callable]:
    """Give a function that takes time, frame and who is seen, and draws a copy."""
    if path is None:
        yield lambda time, frame, seen: None
        return
    import av

    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise FerError(f"{shorten(path)}: name a file that ends in .mp4 for the copy")
    if path.exists() and path.samefile(video.container.name):
        raise FerError(f"{shorten(path)}: this is the video itself; name another file")
    with (
        whole_file(path) as part,
        av.open(os.fspath(part), mode="w", format="mp4") as out,
    ):
        stream = out.add_stream(_codec(av), rate=round(video.rate) or 1)
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TICK
        stream.width = stream.height = 0

        def draw(time: float, frame, seen: list[Sighting]) -> None:
            image = drawn(upright(frame), seen, panel=False)
            if not stream.width:
                stream.width, stream.height = (side // 2 * 2 for side in image.size)
            size = (stream.width, stream.height)
            if image.size != size:
                image = image.resize(size, Image.Resampling.BILINEAR)
            copy = av.VideoFrame.from_image(image)
            copy.pts, copy.time_base = round(time / TICK), TICK
            out.mux(stream.encode(copy))

        yield draw
        out.mux(stream.encode())


def _codec(av) -> str:
    """Return the codec that most players show, or one that every build has."""
    return "libx264" if "libx264" in av.codecs_available else "mpeg4"
