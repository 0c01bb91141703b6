"""The web service over a real socket: good photos, every kind of bad input, limits."""

import io
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fer_utils.errors import FerError
from fer_utils.labels import COLOURS, EMOTIONS
from fer_utils.photos import PORTRAIT

httpx = pytest.importorskip("httpx", reason="needs the extra 'serve'")
pytest.importorskip("fastapi_offline", reason="needs the extra 'serve'")

from browser import running  # noqa: E402
from fer_utils.apps.service import create_app, middleware, serve  # noqa: E402
from fer_utils.apps.service.app import MAX_UPLOADS, listen  # noqa: E402
from fer_utils.photos import Predictor  # noqa: E402


@pytest.fixture(scope="module")
def portrait():
    return PORTRAIT.read_bytes()


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load()


@pytest.fixture(scope="module")
def client(predictor):
    with (
        running(create_app(predictor)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def upload(client, photo, name="photo.jpg", field="file"):
    return client.post("/predict", files={field: (name, photo)})


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width, height):
    """A tiny PNG whose header claims a size."""
    chunks = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 8)
    whole = b"\x89PNG\r\n\x1a\n"
    for chunk in (chunks, data, b"IEND"):
        size = struct.pack(">I", len(chunk) - 4)
        whole += size + chunk + struct.pack(">I", zlib.crc32(chunk))
    return whole


def send(client, *parts):
    """Send raw bytes from a client that then only listens; return what comes back."""
    with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
        raw.settimeout(20)
        for part in parts:
            raw.sendall(part)
        return raw.recv(65536)


HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: multipart/form-data; boundary=cut\r\n"
)
PART = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'


def test_answer(client, portrait):
    response = upload(client, portrait)
    assert response.status_code == 200, response.text
    answer = response.json()
    (face,) = answer["faces"]
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.001)
    left, top, right, bottom = face["box"]
    assert left < 224 < right and top < 120 < bottom, "the astronaut's nose"
    assert answer["predicted_class"] == face["emotion"]
    assert answer["confidence"] == face["confidence"]
    assert answer["model"] == client.get("/healthz").json()["model"]
    assert answer["milliseconds"] > 0
    assert answer["message"] is None


@pytest.mark.parametrize("kind", ["CMYK", "L", "LA", "P", "I;16", "GIF", "EXIF"])
def test_every_kind_of_photo_is_read(client, portrait, kind):
    image = Image.open(io.BytesIO(portrait)).resize((256, 256))
    if kind == "CMYK":
        photo = encoded(image.convert("CMYK"))
    elif kind == "GIF":
        blank = Image.new("RGB", image.size)
        photo = encoded(image, "GIF", save_all=True, append_images=[blank])
    elif kind == "EXIF":
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned by 90 degrees clockwise
        photo = encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
    elif kind == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        photo = encoded(Image.fromarray(grey), "PNG")
    elif kind == "P":
        image.putalpha(255)
        photo = encoded(image.quantize(200), "PNG", transparency=0)
    else:
        photo = encoded(image.convert(kind), "PNG")
    response = upload(client, photo)
    assert response.status_code == 200, response.text
    (face,) = response.json()["faces"]
    left, top, right, bottom = face["box"]
    assert left < 112 < right and top < 60 < bottom


BAD = {
    "empty": (b"", 400),
    "text": (b"This is not a photo. " * 50, 415),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 415),
    "pdf": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", 415),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, 415),
    "no pixels": (png(0, 0), 400),
    "bomb": (png(20_000, 20_000), 413),
    "no data": (png(200, 200), 400),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_photo(client, name):
    photo, statuses = BAD[name]
    check_refusal(upload(client, photo), statuses)
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_photo(client, portrait, kind):
    photo = encoded(Image.open(io.BytesIO(portrait)), kind)
    check_refusal(upload(client, photo[: len(photo) // 2]), 400)


def check_refusal(response, statuses):
    statuses = statuses if isinstance(statuses, tuple) else (statuses,)
    assert response.status_code in statuses, response.text
    detail = response.json()["detail"]
    assert isinstance(detail, str) and len(detail) > 10
    if response.status_code == 415:
        assert "JPEG" in detail or "multipart" in detail


@pytest.mark.parametrize("size", [(300, 200), (1, 1), (3000, 1)])
def test_no_face(client, size):
    response = upload(client, encoded(Image.new("RGB", size, "teal")))
    assert response.status_code == 200
    answer = response.json()
    assert answer["faces"] == [] and answer["predicted_class"] is None
    assert "face" in answer["message"]


def test_fifty_faces(client, portrait):
    head = Image.open(io.BytesIO(portrait)).crop((140, 0, 310, 190)).resize((120, 134))
    group = Image.new("RGB", (1200, 670))
    for index in range(50):
        group.paste(head, (index % 10 * 120, index // 10 * 134))
    faces = upload(client, encoded(group)).json()["faces"]
    assert 45 <= len(faces) <= 55
    sizes = [(f["box"][2] - f["box"][0]) * (f["box"][3] - f["box"][1]) for f in faces]
    assert sizes == sorted(sizes, reverse=True)


def test_bad_forms(client, portrait):
    check_refusal(upload(client, portrait, field="photo"), 400)
    two = [("file", ("a.jpg", portrait)), ("file", ("b.jpg", portrait))]
    check_refusal(client.post("/predict", files=two), 400)
    check_refusal(client.post("/predict", data={"file": "text"}), 415)
    check_refusal(client.post("/predict", files={"file": (None, "text")}), 400)
    check_refusal(client.post("/predict", content=portrait), 415)
    check_refusal(client.post("/predict"), 415)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=cut"):
        headers = {"content-type": kind}
        for body in (b"", b"nonsense", PART, PART[:30]):
            response = client.post("/predict", content=body, headers=headers)
            check_refusal(response, 400)


def test_wrong_turns(client):
    check_refusal(client.get("/predict"), 405)
    check_refusal(client.put("/predict"), 405)
    assert client.get("/web/../cli.py").status_code == 404
    assert client.get("/web/%2e%2e/cli.py").status_code == 404
    assert client.get("/nothing").json() == {"detail": "Not Found"}


def test_chunked_body_is_read(client, portrait):
    body = (PART + portrait + b"\r\n--cut--\r\n",)
    headers = {"content-type": "multipart/form-data; boundary=cut"}
    response = client.post("/predict", content=iter(body), headers=headers)
    assert "content-length" not in response.request.headers
    assert len(response.json()["faces"]) == 1


def test_too_large_is_refused_before_it_has_arrived(client):
    declared = HEAD + b"Content-Length: 10485761\r\n\r\n"
    assert b" 413 " in send(client, declared)


def test_too_large_is_refused_while_it_arrives(client):
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    chunks = [b"%x\r\n%s\r\n" % (len(PART), PART), *[piece] * 161]  # no last chunk
    assert b" 413 " in send(client, chunked, *chunks)


def test_slow_body_is_given_up(client, monkeypatch):
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.2)
    assert b" 408 " in send(client, HEAD + b"Content-Length: 900\r\n\r\n" + PART)


def test_clients_that_leave_give_their_places_back(client, portrait):
    half = HEAD + b"Content-Length: 9000\r\n\r\n" + PART + portrait[:2000]
    address = (client.base_url.host, client.base_url.port)
    for _ in range(MAX_UPLOADS + 1):
        with socket.create_connection(address) as raw:
            raw.sendall(half)
    deadline = time.monotonic() + 20
    while upload(client, portrait).status_code != 200:  # until all were found gone
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_photos_never_touch_the_disk(client, portrait, monkeypatch):
    def refuse(self):
        raise AssertionError("a photo was written to a temporary file")

    monkeypatch.setattr(SpooledTemporaryFile, "rollover", refuse)
    photo = encoded(Image.effect_noise((1500, 1500), 99), "PNG")
    assert len(photo) > 2**20
    assert upload(client, photo).status_code == 200


def test_more_requests_than_places():
    started, release = threading.Semaphore(0), threading.Event()

    def predict(photo, **_):
        started.release()
        assert release.wait(20)
        return []

    stub = SimpleNamespace(predict=predict, model_name="slow")
    with (
        running(create_app(stub, slots=1, queue=1)) as url,
        httpx.Client(base_url=url, timeout=20) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        answers = [pool.submit(upload, client, b"any") for _ in range(3)]
        assert started.acquire(timeout=20)
        refused = next(as_completed(answers, timeout=20)).result()
        check_refusal(refused, 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200, "the event loop is free"
        release.set()
        codes = sorted(answer.result().status_code for answer in answers)
        assert codes == [200, 200, 503]


def test_addresses_are_off(client):
    response = client.post("/predict-url", json={"url": "https://example.org/a.jpg"})
    check_refusal(response, 403)
    assert "--allow-urls" in response.text


def test_private_addresses_are_refused(predictor):
    with (
        running(create_app(predictor, allow_urls=True)) as url,
        httpx.Client(base_url=url, timeout=20) as client,
    ):
        urls = [f"{url}/web/icon.svg", "http://localhost/", "http://169.254.169.254/"]
        urls += ["http://[::1]/", "file:///etc/passwd", "/etc/passwd", "", "http://"]
        for address in urls:
            response = client.post("/predict-url", json={"url": address})
            check_refusal(response, (400, 403, 422))
            assert "root:" not in response.text
        for body in (b"{", b"[]", b'{"link": 1}', b'{"url": 1}', b"\xff"):
            headers = {"content-type": "application/json"}
            response = client.post("/predict-url", content=body, headers=headers)
            check_refusal(response, (400, 422))


def test_headers(client):
    for path in ("/", "/docs", "/settings", "/predict"):
        headers = client.get(path, headers={"origin": "http://evil.test"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert not any(name.startswith("access-control") for name in headers), path
        assert ("unsafe" in headers["content-security-policy"]) == (path == "/docs")


def test_page_and_docs_are_served_from_here(client):
    assert client.get("/settings").json()["colours"] == COLOURS
    scripts = [f"/web/{name}.js" for name in ("app", "stage", "draw")]
    for path in ("/", "/docs", "/web/style.css", *scripts):
        text = client.get(path).raise_for_status().text
        outside = text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in outside and "https://" not in outside, path
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/predict-url", "/healthz"} == set(paths)


def test_command(portrait):
    command = [sys.executable, "-m", "fer_utils", "serve", "--port", "0"]
    with (
        subprocess.Popen(
            command, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as server,
        httpx.Client(timeout=60) as client,
    ):
        try:
            client.base_url = server.stdout.readline().partition(" at ")[2].split()[0]
            assert upload(client, portrait).json()["predicted_class"] == "happy"
            with pytest.raises(FerError, match="--port"):
                serve(port=client.base_url.port)
        finally:
            server.terminate()
        assert server.stdout.read() == "", "nothing of a request is logged"


def test_answers_leave_at_once():
    """Headers and body are two packets: Nagle's algorithm would add 40 ms between."""
    with listen("127.0.0.1", 0) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 99_999), ("a" * 300, 8000), ("nope.invalid", 8000)]
)
def test_where_it_cannot_listen(host, port):
    with pytest.raises(FerError, match="cannot listen on"):
        serve(host, port)


# Options


def ask(client, photo, **fields):
    return client.post("/predict", files={"file": ("me.jpg", photo)}, data=fields)


def test_options_reach_the_predictor(client, predictor, portrait):
    options = {"views": 1, "min_size": 60, "search_size": 512, "abstain_below": 1}
    (face,) = ask(client, portrait, **options).json()["faces"]
    (expected,) = predictor.predict(PORTRAIT, **options)
    assert face["emotion"] == "unsure" and tuple(face["box"]) == expected.box
    assert face["confidence"] == pytest.approx(expected.confidence, abs=1e-3)
    (whole,) = ask(client, portrait, assume_cropped="true").json()["faces"]
    assert whole["box"] == [0, 0, 512, 512]
    (found,) = ask(client, portrait, assume_cropped="auto").json()["faces"]
    assert found["box"] != [0, 0, 512, 512]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("views", "3", "views = .*use one of 1, 2, 6"),
        ("views", "many", "views = .*many.*valid integer"),
        ("views", "", "views = "),
        ("abstain_below", "high", "abstain_below = .*high.*valid number"),
        ("abstain_below", "nan", "abstain_below = .*nan"),
        ("abstain_below", "1.5", "abstain_below = .*less than or equal to 1"),
        ("abstain_below", "-0.1", "abstain_below = .*greater than or equal to 0"),
        ("assume_cropped", "maybe", "assume_cropped"),
        ("min_size", "1", "min_size = .*greater than or equal to 12"),
        ("search_size", "1000000", "search_size = .*less than or equal to"),
        ("looks", "2", "no field 'looks'; fields: views"),
        ("x" * 500, "2", "no field 'x"),
        ("views", "9" * 5000, "views = "),
    ],
)
def test_options_that_cannot_be_read(client, portrait, field, value, says):
    answer = ask(client, portrait, **{field: value})
    detail = answer.json()["detail"]
    assert answer.status_code == 422 and re.search(says, detail), detail
    assert len(detail) < 300


def test_text_in_the_field_of_the_photo(client):
    answer = client.post("/predict", data={"file": "me.jpg"}, files={"other": b"x"})
    assert answer.status_code == 400
    assert "holds text, not a file" in answer.json()["detail"]


def test_health_answers_head(client):
    answer = client.head("/healthz")
    assert answer.status_code == 200 and not answer.content


def test_no_face_gets_a_hint(client):
    answer = upload(client, encoded(Image.new("RGB", (99, 99)))).json()
    assert "No face was found" in answer["message"]
    assert "assume_cropped" in answer["message"]


def test_the_options_are_described(client):
    form = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    fields = form["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert fields["required"] == ["file"]
    assert {"views", "assume_cropped", "min_size"} < fields["properties"].keys()


# --- what the operator sees ---


def test_each_answer_has_the_notice_and_an_id(client, portrait):
    response = upload(client, portrait)
    assert "prohibited" in response.json()["notice"]
    one, two = (client.get("/healthz").headers["x-request-id"] for _ in "ab")
    assert one != two and re.fullmatch("[0-9a-f]{32}", one)
    mine = client.get("/healthz", headers={"X-Request-ID": "run-7.a_b"})
    assert mine.headers["x-request-id"] == "run-7.a_b"
    for hostile in ("a" * 65, "a b", '{"x":1}', ""):
        answer = client.get("/healthz", headers={"X-Request-ID": hostile})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_metrics_count_routes_and_not_paths(client, portrait):
    def figures():
        text = client.get("/metrics").text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {
            name: float(value) for name, _, value in (s.rpartition(" ") for s in lines)
        }

    before = figures()
    upload(client, portrait)
    upload(client, b"no photo")
    for path in ("/a-secret", "/web/app.js", "/predict?token=secret"):
        client.get(path)
    after = figures()
    grown = {k: v - before.get(k, 0) for k, v in after.items()}
    assert grown['fer_requests_total{route="/predict",status="200"}'] == 1
    assert grown['fer_requests_total{route="/predict",status="415"}'] == 1
    assert grown["fer_faces_total"] == 1
    assert grown['fer_request_seconds_count{route="/predict"}'] >= 2
    assert not [name for name in after if "secret" in name]


def test_the_log_has_a_line_a_request_and_nothing_private(client, portrait, caplog):
    mine = {"X-Request-ID": "mine"}
    with caplog.at_level("INFO", logger="fer_utils.service"):
        files = {"file": ("jane.jpg", portrait)}
        client.post("/predict?me=jane", files=files, headers=mine)
        client.get("/photos/of/jane", headers=mine)
        deadline = time.monotonic() + 30
        while caplog.text.count('"id": "mine"') < 2:  # written after the answer
            assert time.monotonic() < deadline
            time.sleep(0.01)
    lines = [json.loads(record.message) for record in caplog.records]
    lines = [line for line in lines if line["id"] == "mine"]
    assert [line["status"] for line in lines] == [200, 404]
    assert [line["route"] for line in lines] == ["/predict", "other"]
    assert lines[0].keys() == {
        "time",
        "id",
        "method",
        "route",
        "status",
        "milliseconds",
    }
    assert "jane" not in caplog.text and "127.0.0.1" not in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM is handled there")
def test_sigterm_lets_requests_end(portrait):
    """Every photo that was being read when the service is told to stop is answered."""
    code = "from fer_utils.apps.service import serve; serve(port=0, log=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    host, port = re.search(r"http://(\S+):(\d+)", process.stdout.readline()).groups()
    body = PART + portrait + b"\r\n--cut--\r\n"
    half = len(body) // 2
    head = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((host, int(port)), 60))
            for _ in range(6)
        ]
        for client in clients:
            client.sendall(head + body[:half])
        time.sleep(0.5)  # all six are being read
        process.terminate()
        time.sleep(0.2)
        for client in clients:
            client.sendall(body[half:])
        answers = [client.recv(12) for client in clients]
    said = process.communicate(timeout=60)[1]
    assert answers == [b"HTTP/1.1 200"] * 6 and "Traceback" not in said, said
    assert said.count('"route": "/predict", "status": 200') == 6
