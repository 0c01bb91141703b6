"""Faces and their probabilities drawn onto a photo, with a panel of bars beside it."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont

from .labels import COLOURS
from .predict import Face

PAPER, INK, TRACK, DOUBT = "#FFFFFF", "#222222", "#E4E4E4", "#7F7F7F"

LEAST_SIDE = 240  # pixels; a smaller photo is enlarged, or its label would hide it


def annotate(image: Image.Image, faces: Sequence[Face]) -> Image.Image:
    """Return a copy of the upright photo with boxes, labels and, at its right, bars.

    Numbers join the boxes to the bars. Where the panel has no room for all faces it
    shows the largest and says how many more there are.
    """
    zoom = -(-LEAST_SIDE // max(image.size))
    image = image.resize((image.width * zoom, image.height * zoom))
    faces = [replace(face, box=tuple(x * zoom for x in face.box)) for face in faces]
    unit = max(13, round(min(image.size) / 40))  # pixels, the size of the text
    font = ImageFont.load_default(unit)
    line, pad = round(unit * 1.4), unit
    classes = len(faces[0].probabilities) if faces else 0
    block = (classes + 2) * line
    shown = max(1, (image.height - 2 * pad) // block) if faces else 0
    if shown < len(faces):  # the last line says so
        shown = max(1, (image.height - 2 * pad - line) // block)
    height = max(image.height, 2 * pad + shown * block + (shown < len(faces)) * line)
    canvas = Image.new("RGB", (image.width + 17 * unit, height), PAPER)
    canvas.paste(image)
    draw = ImageDraw.Draw(canvas)
    # Largest last, so that the label of no large face is hidden by a small one.
    for number, face in reversed([*enumerate(faces, 1)]):
        _draw_box(draw, face, number, image.size, unit)
    left, top = image.width + pad, pad
    for number, face in enumerate(faces[:shown], 1):
        title = f"{number}  {face.emotion}, {face.confidence:.0%}"
        draw.text((left, top), title, INK, font, stroke_width=0.4, stroke_fill=INK)
        _draw_bars(draw, face, (left, top + line), unit, font)
        top += block
    if not faces:
        draw.text((left, top), "No face found", INK, font)
    elif shown < len(faces):
        draw.text((left, top), f"and {len(faces) - shown} more", INK, font)
    return canvas


def colour(emotion: str) -> str:
    """Return an expression's colour; a merged class has its first one's."""
    return COLOURS.get(emotion.split("+")[0], DOUBT)


def _draw_box(draw: ImageDraw.ImageDraw, face: Face, number: int, size, unit: int):
    shade = colour(face.emotion)
    draw.rectangle(face.box, outline=PAPER, width=max(5, unit // 4))
    draw.rectangle(face.box, outline=shade, width=max(3, unit // 6))
    left, top, right, bottom = face.box
    # Beside many small faces a label of full size would hide its neighbours.
    font = ImageFont.load_default(max(10, min(unit, (right - left) // 4)))
    text = f"{number} {face.emotion}"
    x0, y0, x1, y1 = font.getbbox(text)
    width, height, gap = x1 - x0, y1 - y0, 3
    tag_height = height + 2 * gap
    x = max(0, min(left, size[0] - width - 2 * gap))
    y = top - tag_height if top >= tag_height else min(bottom, size[1] - tag_height)
    draw.rectangle((x, y, x + width + 2 * gap, y + tag_height), fill=shade)
    draw.text((x + gap - x0, y + gap - y0), text, _ink_on(shade), font)


def _ink_on(shade: str) -> str:
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER


def _draw_bars(draw: ImageDraw.ImageDraw, face: Face, corner, unit: int, font):
    left, top = corner
    start, length = left + 5 * unit, 7 * unit
    for name, chance in face.probabilities.items():
        middle = top + unit * 0.7
        thin = unit * 0.3
        track = (start, middle - thin, start + length, middle + thin)
        draw.text((left, middle), name, INK, font, anchor="lm")
        draw.rectangle(track, fill=TRACK)
        draw.rectangle((*track[:2], start + length * chance, track[3]), colour(name))
        x = start + length + unit * 3
        draw.text((x, middle), f"{chance:.0%}", INK, font, anchor="rm")
        top += round(unit * 1.4)
