"""2,000 damaged uploads: never a 5xx, no crash, no growth."""

import io
import random
import time
from collections import Counter

import psutil
import pytest
from PIL import Image

from fer_utils.photos import PORTRAIT

httpx = pytest.importorskip("httpx", reason="needs the extra 'serve'")
pytest.importorskip("fastapi_offline", reason="needs the extra 'serve'")

from browser import running  # noqa: E402
from fer_utils.apps.service import create_app  # noqa: E402
from fer_utils.photos import Predictor  # noqa: E402

UPLOADS = 2_000
SECONDS = 90.0  # of processor time, several times what it takes
GROWTH = 40e6  # bytes; a leak of one small photo (12 kB) per upload would show
ENVELOPE = (
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n%s\r\n--cut--\r\n"
)


def photos():
    """A face of 64 pixels in every accepted format and some colour modes."""
    face = Image.open(PORTRAIT).crop((160, 30, 290, 190)).resize((64, 78))
    exif = Image.Exif()
    exif[0x0112] = 6
    ways = [
        (face, "JPEG", {"exif": exif}),
        (face, "JPEG", {"progressive": True}),
        (face.convert("CMYK"), "JPEG", {}),
        (face, "PNG", {}),
        (face.quantize(16), "PNG", {"transparency": 0}),
        (face, "GIF", {"save_all": True, "append_images": [face.convert("L")]}),
        (face, "WEBP", {}),
        (face.convert("L"), "BMP", {}),
        (face, "TIFF", {}),
    ]
    for image, kind, options in ways:
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield file.getvalue()


def damage(data: bytes, rng: random.Random) -> bytes:
    """Change, cut, double or overwrite pieces; mostly near the head, where it hurts."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        reach = rng.choice((32, 512, len(data)))
        start = rng.randrange(min(reach, len(data)) or 1)
        end = start + rng.choice((1, 1, 2, 4, 64))
        match rng.randrange(6):
            case 0:
                data[start:end] = rng.randbytes(end - start)
            case 1:
                data[start:end] = b"\xff" * (end - start)
            case 2:
                data[start:end] = b""
            case 3:
                data[start:start] = data[start:end] * rng.choice((1, 50))
            case 4:
                data[start:end] = b"\0" * (end - start)
            case 5 if rng.random() < 0.3:
                del data[start:]
    return bytes(data)


def test_damaged_uploads():
    rng = random.Random(20130707)
    originals = list(photos())
    codes, process = Counter(), psutil.Process()
    start = time.process_time()
    headers = {"content-type": "multipart/form-data; boundary=cut"}
    app = create_app(Predictor.load(), slots=1)
    with running(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        for count in range(UPLOADS):
            photo = rng.choice(originals)
            if rng.random() < 0.8:
                body = ENVELOPE % damage(photo, rng)
            else:
                body = damage(ENVELOPE % photo, rng)
            response = client.post("/predict", content=body, headers=headers)
            codes[response.status_code] += 1
            answer = response.json()
            if response.status_code == 200:
                assert isinstance(answer["faces"], list)
            else:
                assert 400 <= response.status_code < 500, (count, response.text)
                assert isinstance(answer["detail"], str) and answer["detail"]
            if count == UPLOADS // 4:  # by now every path was taken
                before = process.memory_info().rss
            assert time.process_time() - start < SECONDS, (count, codes)
        growth = process.memory_info().rss - before
        response = client.post("/predict", files={"file": PORTRAIT.read_bytes()})
        assert len(response.json()["faces"]) == 1
    assert min(codes[200], codes[400], codes[415]) > 20, codes
    assert growth < GROWTH, f"{growth / 1e6:.0f} MB more than after the first uploads"
