"""Photos of every kind come out upright; bad ones and forbidden addresses do not."""

import io
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from fer_utils.errors import FerError, PhotoError
from fer_utils.photos import PORTRAIT, open_photo
from fer_utils.photos.open import MAX_BYTES

httpcore = pytest.importorskip("httpcore", reason="needs the extra 'demo'")

from fer_utils.photos import (  # noqa: E402
    Found,
    cascade,
    crop,
    crop_faces,
    detect,
    download,
    find_faces,
    looks_cropped,
    whole_face,
)


@pytest.fixture(scope="module")
def portrait():
    return open_photo(PORTRAIT)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(one, other):
    """Mean absolute difference of two images in grey values."""
    one, other = (np.asarray(i.convert("RGB"), float) for i in (one, other))
    return np.abs(one - other).mean()


# Opening


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_accepted_formats(portrait, kind):
    opened = open_photo(encoded(portrait, kind))
    assert opened.size == (512, 512) and difference(opened, portrait) < 8


def test_every_way_to_give_a_photo(portrait):
    array, data = np.asarray(portrait), PORTRAIT.read_bytes()
    sources = [PORTRAIT, str(PORTRAIT), data, bytearray(data), portrait, array]
    for source in [*sources, array[:, ::-1][:, ::-1]]:
        opened = open_photo(source)
        assert opened.mode == "RGB" and difference(opened, portrait) == 0
    assert open_photo(array[..., 0]).mode == "L"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr"])
def test_modes(portrait, mode):
    opened = open_photo(portrait.convert(mode))
    assert opened.mode == ("L" if mode in "1L" else "RGB")
    expected = portrait.convert("L") if mode in ("1", "L", "LA") else portrait
    assert abs(np.asarray(opened, float).mean() - np.asarray(expected).mean()) < 3


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_keep_their_range(portrait, mode):
    grey = portrait.convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    opened = open_photo(encoded(wide) if mode == "I;16" else wide.convert("I"))
    assert opened.mode == "L" and difference(opened, grey) == 0


def test_transparent_is_white():
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    palette = Image.new("P", (8, 8), 0)
    for photo in (encoded(clear), encoded(palette, transparency=0)):
        assert np.asarray(open_photo(photo)).min() == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (9, 9), shade) for shade in ("white", "black", "red")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.asarray(open_photo(data)).min() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(portrait, orientation):
    """A photo stored turned or mirrored comes out as it was taken."""
    T = Image.Transpose
    stored_by = (
        *(None, T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM),
        *(T.TRANSPOSE, T.ROTATE_90, T.TRANSVERSE, T.ROTATE_270),
    )[orientation - 1]
    upright = portrait.crop((0, 0, 512, 400))
    stored = upright if stored_by is None else upright.transpose(stored_by)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_photo(encoded(stored, exif=exif))
    assert opened.size == (512, 400) and difference(opened, upright) == 0


def test_damaged_exif_is_no_reason_to_refuse(portrait):
    data = encoded(portrait, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert open_photo(data).size == (512, 512)


def png_header(width, height):
    """A PNG that ends where its pixels begin: to decode it would fail."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + crc + b"\0\1\0\0IDAT"


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
WHOLE = PORTRAIT.read_bytes()


@pytest.mark.parametrize(
    ("photo", "kind"),
    [
        (b"", "empty"),
        (np.empty((0, 5, 3), np.uint8), "empty"),
        (Image.new("L", (0, 0)), "empty"),
        (b"a letter, not a photo", "unsupported"),
        (SVG, "unsupported"),
        (b"%PDF-1.7 ...", "unsupported"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported"),
        (encoded(Image.new("L", (9, 9)), "TIFF"), "unsupported"),
        (np.full((9, 9, 3), 2.0), "unsupported"),
        (np.zeros((9, 9, 5), np.uint8), "unsupported"),
        (np.zeros((2, 9, 9, 3), np.uint8), "unsupported"),
        (Image.new("F", (9, 9), -1), "unsupported"),
        (12, "unsupported"),
        (None, "unsupported"),
        (WHOLE[:100], "broken"),
        (WHOLE[: len(WHOLE) // 2], "broken"),
        (encoded(Image.open(PORTRAIT))[:5000], "broken"),
        (b"GIF89a", "broken"),
        (png_header(9, 9), "broken"),
        (png_header(20_000, 20_000), "too_large"),
        (png_header(10_000, 9_000), "too_large"),
        (Image.new("1", (8000, 5001)), "too_large"),
        (b"\xff\xd8" + bytes(MAX_BYTES), "too_large"),
        ("no/such/photo.jpg", "missing"),
        (PORTRAIT.parent, "missing"),
        ("nul\0byte.jpg", "missing"),
        ("file:///etc/passwd", "url"),
        ("ftp://example.org/a.jpg", "url"),
        ("http://", "url"),
        ("http://[::1", "url"),
        ("http://exa mple.org/a.jpg", "url"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_bad_photos_say_what_is_wrong(photo, kind, recwarn):
    with pytest.raises(PhotoError) as caught:
        open_photo(photo)
    assert caught.value.kind == kind and isinstance(caught.value, FerError)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 200
    if kind == "unsupported" and isinstance(photo, bytes):
        assert "JPEG, PNG, WebP, GIF or BMP" in message
    assert not recwarn.list


# Finding and cutting


def test_the_portrait_has_one_face(portrait):
    (face,) = find_faces(portrait)
    assert np.abs(np.subtract(face.box, (183, 64, 269, 175))).max() < 8
    eyes, nose, mouth = face.landmarks[:2], face.landmarks[2], face.landmarks[3:]
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()


def test_a_grey_photo_does_as_well(portrait):
    assert len(find_faces(portrait.convert("L"))) == 1


def test_a_large_photo_is_searched_small(portrait, monkeypatch):
    searched, find = [], cascade.detect
    monkeypatch.setattr(
        cascade,
        "detect",
        lambda photo, *a: searched.append(photo.size) or find(photo, *a),
    )
    (face,) = find_faces(portrait.resize((4096, 4096)))
    assert searched == [(detect.SEARCH_SIZE, detect.SEARCH_SIZE)]
    assert np.abs(np.subtract(face.box, np.multiply((183, 64, 269, 175), 8))).max() < 64


def test_several_faces_largest_first(portrait):
    canvas = Image.new("RGB", (900, 400), "grey")
    head = portrait.crop((130, 10, 330, 210))
    for x, side in ((20, 160), (250, 300), (620, 220)):
        canvas.paste(head.resize((side, side)), (x, 50))
    found = find_faces(canvas)
    assert len(found) == 3 and crop_faces(canvas, found).shape == (3, 48, 48)
    assert [face.box[0] // 100 for face in found] == [3, 6, 0]


def test_small_and_doubtful_faces_can_be_left_out(portrait):
    assert not find_faces(portrait, min_size=200)
    assert not find_faces(portrait, min_confidence=1.01)


@pytest.mark.parametrize("angle", [-25, 0, 25])
def test_crops_are_framed_as_in_fer2013(portrait, angle):
    """Eyes level and where FER2013 has them: at (15.2, 18.6) and (33.1, 18.6)."""
    turned = portrait.rotate(
        angle, center=(226, 120), resample=Image.Resampling.BICUBIC
    )
    (face,) = find_faces(turned)
    (cut,) = crop_faces(turned, [face])
    eyes = face.landmarks[:2] @ crop.placement(face)[:, :2].T
    eyes += crop.placement(face)[:, 2]
    assert np.abs(eyes - [(15.2, 18.6), (33.1, 18.6)]).max() < 3
    assert abs(eyes[0, 1] - eyes[1, 1]) < 0.01
    assert cut.dtype == np.uint8 and 40 < cut.std() < 90


def test_a_crop_shows_the_pixels_of_its_box():
    """A box framed like FER2013's own images gives those images back."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (48, 48), np.uint8))
    side = crop.FRAME_SIDE / 2
    x, y = crop.FRAME_CENTRE
    box = (x - side, y - side, x + side, y + side)
    level = np.array([[15, 20], [33, 20], [24, 28], [17, 38], [31, 38]], float)
    (cut,) = crop_faces(image, [Found(box, 1.0, level)])
    assert np.abs(cut - np.asarray(image, float)).max() <= 1
    large = image.resize((480, 480), Image.Resampling.NEAREST)
    (cut,) = crop_faces(large, [Found(tuple(10 * c for c in box), 1.0, 10 * level)])
    assert np.abs(cut - np.asarray(image, float)).max() <= 1


def test_red_is_red():
    """Grey is 30 % red, 59 % green, 11 % blue; with red and blue swapped it is not."""
    level = np.array([[15, 20], [33, 20], [24, 28], [17, 38], [31, 38]], float)
    for shade, grey in (((255, 0, 0), 76), ((0, 0, 255), 29)):
        photo = open_photo(np.full((96, 96, 3), shade, np.uint8))
        crops = crop_faces(photo, [Found((20, 20, 70, 80), 1.0, level)])
        assert np.all(crops == grey) and np.all(whole_face(photo) == grey)


def test_a_whole_face_is_cut_square():
    wide = Image.new("L", (96, 48), 0)
    wide.paste(255, (24, 0, 72, 48))
    assert whole_face(wide).shape == (48, 48) and whole_face(wide).min() == 255


@pytest.mark.parametrize("beyond", [(-30, -20), (60, 70), (-500, 400)])
def test_beyond_the_edge_the_outermost_pixels_go_on(beyond):
    photo = (
        Image.linear_gradient("L").resize((64, 64)).transpose(Image.Transpose.ROTATE_90)
    )
    x, y = beyond
    box = (x, y, x + 44, y + 44)
    level = np.array([[15, 20], [33, 20], [24, 28], [17, 38], [31, 38]], float)
    (cut,) = crop_faces(photo, [Found(box, 1.0, level + beyond)])
    left = x + 22 - crop.FRAME_CENTRE[0] * 44 / crop.FRAME_SIDE
    places = (left + (np.arange(48) + 0.5) * 44 / crop.FRAME_SIDE - 0.5).clip(0, 63)
    row = np.interp(places, np.arange(64), np.asarray(photo, float)[0])
    assert np.abs(cut - row).max() <= 2


def test_which_images_are_faces_already(portrait):
    face = whole_face(portrait.crop((150, 30, 300, 180)))
    assert looks_cropped(Image.fromarray(face))
    assert looks_cropped(
        open_photo(encoded(Image.fromarray(face).convert("RGB"), "JPEG"))
    )
    assert not looks_cropped(portrait.resize((48, 48)))  # in colour
    assert not looks_cropped(portrait.convert("L"))
    assert not looks_cropped(Image.new("L", (48, 40)))


# Fetching


def test_fetch(site):
    for way in ("photo", "to?/photo", f"to?{site}/to?photo"):
        assert open_photo(f"{site}/{way}", allow_private=True).size == (512, 512)


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("page", "unsupported"),
        ("gone", "url"),
        ("cut", "url"),
        ("endless", "too_large"),
        ("slow?body", "timeout"),
        ("slow?head", "timeout"),
        ("to?to?photo%20", "url"),
        ("to?file:///etc/passwd", "url"),
        ("to?http://[", "url"),
    ],
)
def test_bad_answers_are_bounded(site, way, kind, monkeypatch):
    monkeypatch.setattr(download, "MAX_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(PhotoError) as caught:
        open_photo(f"{site}/{way}", allow_private=True)
    assert caught.value.kind == kind and time.monotonic() - start < 3


def test_redirects_end(site):
    with pytest.raises(PhotoError, match="redirects"):
        open_photo(f"{site}/loop", allow_private=True)


def test_a_dead_port_is_refused_kindly():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PhotoError, match="cannot be reached"):
        open_photo(f"http://127.0.0.1:{port}/a.jpg", allow_private=True)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "10.0.0.1"),
        *("169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "user@127.0.0.1"),
    ],
)
def test_private_addresses_are_refused(host):
    with pytest.raises(PhotoError, match=r"not a public address|no server") as caught:
        open_photo(f"http://{host}/a.jpg")
    unknown = "no server" in str(caught.value)  # how 0x7f.1 is read, systems differ on
    assert caught.value.kind == ("url" if unknown else "private")


def test_a_redirect_to_a_private_address_is_refused(site, monkeypatch):
    monkeypatch.setattr(download, "is_public", lambda address: address == "127.0.0.1")
    port = site.rpartition(":")[2]
    with pytest.raises(PhotoError, match="not a public address"):
        open_photo(f"{site}/to?http://127.0.0.2:{port}/photo")


def test_a_name_is_resolved_once_and_that_address_connected_to(monkeypatch):
    """DNS rebinding: a second look-up would answer with a private address."""
    answers = iter(["93.184.215.14", "127.0.0.1"])
    connected = []

    def look_up(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 80))]

    def connect(self, host, *_, **__):
        connected.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(PhotoError, match="cannot be reached"):
        open_photo("http://rebind.example/a.jpg")
    assert connected == ["93.184.215.14"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        *((address, False) for address in ("::1", "fe80::1%eth0", "fd00::1", "::")),
        *((address, False) for address in ("192.168.0.1", "100.64.0.1", "224.0.0.1")),
        *((address, False) for address in ("64:ff9b::7f00:1", "2002:7f00:1::")),
        *((address, False) for address in ("240.0.0.1", "ff02::1", "172.16.0.1")),
    ],
)
def test_which_addresses_are_public(address, public):
    assert download.is_public(address) == public
