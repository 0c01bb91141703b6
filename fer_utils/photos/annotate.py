"""Faces and their probabilities drawn onto a photo, with a panel of bars beside it."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageColor, ImageDraw, ImageFont

from ..labels import class_colour
from .face import Face

PAPER, INK, TRACK = "#FFFFFF", "#222222", "#E4E4E4"

LEAST_SIDE = 240  # pixels; the labels would hide a smaller photo, so it is enlarged


def annotate(
    image: Image.Image, faces: Sequence[Face], panel: bool = True
) -> Image.Image:
    """Return a copy of the upright photo with boxes and labels, and a panel of bars.

    Numbers join the boxes to the bars. Where the panel has no room for all faces it
    shows the largest and says how many more there are.
    """
    zoom = -(-LEAST_SIDE // max(image.size))
    image = image.convert("RGB").resize([side * zoom for side in image.size])
    faces = [replace(face, box=tuple(x * zoom for x in face.box)) for face in faces]
    unit = max(13, round(min(image.size) / 40))  # pixels, the size of the text
    # The largest comes last, so that no small face hides its label.
    for number, face in reversed([*enumerate(faces, 1)]):
        number = getattr(face, "person", number)  # of a video
        _draw_box(ImageDraw.Draw(image), face, number, image.size, unit)
    return _beside_panel(image, faces, unit) if panel else image


def _draw_box(draw: ImageDraw.ImageDraw, face: Face, number: int, size, unit: int):
    shade = class_colour(face.emotion)
    draw.rectangle(face.box, outline=PAPER, width=max(5, unit // 4))
    draw.rectangle(face.box, outline=shade, width=max(3, unit // 6))
    left, top, right, bottom = face.box
    # A label of full size would hide the neighbours of a small face.
    font = ImageFont.load_default(max(10, min(unit, (right - left) // 4)))
    text = f"{number} {face.emotion}"
    x0, y0, x1, y1 = font.getbbox(text)
    gap = 3
    width, height = x1 - x0 + 2 * gap, y1 - y0 + 2 * gap
    x = max(0, min(left, size[0] - width))
    y = top - height if top >= height else min(bottom, size[1] - height)
    draw.rectangle((x, y, x + width, y + height), fill=shade)
    ink = INK if ImageColor.getcolor(shade, "L") > 140 else PAPER
    draw.text((x + gap - x0, y + gap - y0), text, ink, font)


def _beside_panel(image: Image.Image, faces: Sequence[Face], unit: int) -> Image.Image:
    font = ImageFont.load_default(unit)
    line = round(unit * 1.4)
    block = (len(faces[0].probabilities) + 2) * line if faces else line
    space = image.height - 2 * unit
    room = space // block
    if room < len(faces):  # one line is for "and … more"
        room = max(1, (space - line) // block)
    shown, hidden = faces[:room], len(faces[room:])
    needed = 2 * unit + len(shown) * block + (line if hidden else 0)
    size = image.width + 17 * unit, max(image.height, needed)
    canvas = Image.new("RGB", size, PAPER)
    canvas.paste(image)
    draw = ImageDraw.Draw(canvas)
    left, top = image.width + unit, unit
    for number, face in enumerate(shown, 1):
        title = f"{number}  {face.emotion}, {face.confidence:.0%}"
        draw.text((left, top), title, INK, font, stroke_width=0.4, stroke_fill=INK)
        _draw_bars(draw, face, (left, top + line), unit, font)
        top += block
    if hidden or not faces:
        text = f"and {hidden} more" if hidden else "No face found"
        draw.text((left, top), text, INK, font)
    return canvas


def _draw_bars(draw: ImageDraw.ImageDraw, face: Face, corner, unit: int, font):
    left, top = corner
    start, length, thin = left + 5 * unit, 7 * unit, unit * 0.3
    for name, chance in face.probabilities.items():
        middle = top + unit * 0.7
        draw.text((left, middle), name, INK, font, anchor="lm")
        for share, colour in ((1, TRACK), (chance, class_colour(name))):
            bar = (start, middle - thin, start + length * share, middle + thin)
            draw.rectangle(bar, colour)
        x = start + length + unit * 3
        draw.text((x, middle), f"{chance:.0%}", INK, font, anchor="rm")
        top += round(unit * 1.4)
