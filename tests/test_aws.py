"""Lambda: direct calls and API Gateway's events, and bad ones of every kind."""

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import aws as bench  # bench/aws.py: a stand-in of Lambda's runtime API
import pytest

from fer_utils.apps import aws
from fer_utils.apps.aws import lambda_handler, predict
from fer_utils.errors import FerError, PhotoError
from fer_utils.labels import EMOTIONS
from fer_utils.photos import PORTRAIT, download

JPEG = PORTRAIT.read_bytes()
IMAGE = base64.b64encode(JPEG).decode()
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site():
    """A web server with the portrait at every path but /text."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"no photo" if self.path == "/text" else JPEG
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://{}:{}".format(*server.server_address)
    server.shutdown()


@pytest.fixture
def public(monkeypatch):
    """Take this machine for a public address."""
    monkeypatch.setattr(download, "is_public", lambda address: True)


def rest(body=None, encoded=False, query=None, method="POST") -> dict:
    """An event of a REST API (version 1)."""
    return {
        "resource": "/predict", "path": "/predict", "httpMethod": method,
        "headers": {}, "queryStringParameters": query, "body": body,
        "isBase64Encoded": encoded, "requestContext": {"stage": "prod"},
    }  # fmt: skip


def http(body=None, encoded=False, query="", method="POST") -> dict:
    """An event of an HTTP API (version 2)."""
    event = {
        "version": "2.0", "rawPath": "/predict", "rawQueryString": query,
        "requestContext": {"http": {"method": method}}, "isBase64Encoded": encoded,
    }  # fmt: skip
    return event | ({} if body is None else {"body": body})


def checked(answer: dict) -> dict:
    assert answer["predicted_class"] in EMOTIONS and len(answer["faces"]) == 1
    assert "prohibited" in answer["notice"] and answer["message"] is None
    assert json.loads(json.dumps(answer)).keys() == answer.keys()
    return answer


def test_predict_by_address(site, public):
    found = predict(f"{site}/me.jpg", views=2)
    assert list(found) == list(EMOTIONS) and sum(found.values()) == pytest.approx(1)
    with pytest.raises(PhotoError, match="not in an accepted format"):
        predict(f"{site}/text")


def test_no_face_is_an_error_and_an_answer(monkeypatch):
    monkeypatch.setattr(type(aws.predictor()), "predict", lambda *_, **__: [])
    with pytest.raises(FerError, match="No face was found"):
        predict("https://example.org/a.jpg")
    answer = lambda_handler({"image": IMAGE})
    assert answer["faces"] == [] and "No face" in answer["message"]


def test_direct_calls(site, public):
    by_address = checked(lambda_handler({"url": f"{site}/me.jpg"}))
    by_image = checked(lambda_handler({"image": IMAGE}))
    as_address = checked(lambda_handler({"image": f"data:image/jpeg;base64,{IMAGE}"}))
    assert by_address["faces"] == by_image["faces"] == as_address["faces"]
    unsure = lambda_handler({"image": IMAGE, "abstain_below": 1, "views": 1})
    assert unsure["predicted_class"] == "unsure"


@pytest.mark.parametrize("make", [rest, http])
def test_gateways(make, site, public):
    raw = make(IMAGE, encoded=True)
    sent = make(json.dumps({"image": IMAGE}))
    coded = make(base64.b64encode(json.dumps({"image": IMAGE}).encode()).decode(), True)
    address = make(json.dumps({"url": f"{site}/me.jpg"}))
    query = {"url": f"{site}/me.jpg", "views": "1", "assume_cropped": "auto"}
    text = "&".join(f"{key}={value}" for key, value in query.items())
    asked = make(query=query if make is rest else text, method="GET")
    for event in (raw, sent, coded, address, asked):
        response = lambda_handler(event)
        assert response["statusCode"] == 200, response["body"]
        assert response["headers"]["Content-Type"] == "application/json"
        checked(json.loads(response["body"]))


BAD = {
    "nothing": ({}, 400, "there is no photo"),
    "null": (None, 400, "the event is of type NoneType"),
    "a list": ([1], 400, "the event is of type list"),
    "both": ({"url": "http://a.org", "image": IMAGE}, 400, "an address and an image"),
    "unknown": (
        {"image": IMAGE, "uri": "x" * 9999},
        422,
        "no field 'uri'; fields: url",
    ),
    "number": ({"url": 7}, 400, "give an http"),
    "path": ({"url": "/etc/passwd"}, 400, "give an http"),
    "file": ({"url": "file:///etc/passwd"}, 400, "give an http"),
    "data address": ({"url": "data:image/png;base64,AA"}, 400, "give an http"),
    "private": ({"url": "http://127.0.0.1:9/a.jpg"}, 400, "not a public address"),
    "metadata": ({"url": "http://169.254.169.254/x"}, 400, "not a public address"),
    "no server": ({"url": "http://nowhere.invalid/a.jpg"}, 400, "no server"),
    "not base64": ({"image": "*" * 100}, 400, "not valid base64"),
    "a number": ({"image": 5}, 415, "no base64 text"),
    "text": (
        {"image": base64.b64encode(b"hello" * 9).decode()},
        415,
        "not in an accepted format",
    ),
    "huge": ({"image": base64.b64encode(JPEG * 300).decode()}, 413, "larger than"),
    "cut off": ({"image": base64.b64encode(JPEG[:3000]).decode()}, 400, "damaged"),
    "views": ({"image": IMAGE, "views": 3}, 422, "views"),
    "sure": ({"image": IMAGE, "abstain_below": "NaN"}, 422, "abstain_below"),
    "size": ({"image": IMAGE, "min_size": -1}, 422, "min_size"),
    "broken JSON": (rest('{"url": '), 400, "not valid JSON"),
    "deep JSON": (rest('{"url":' * 50_000), 400, "not valid JSON"),
    "a form": (rest("--cut\r\nContent-Disposition: x"), 415, "not JSON"),
    "raw bytes": (http("\ufffdJFIF"), 415, "not JSON"),
    "bad base64": (rest("***", encoded=True), 400, "not valid base64"),
    "empty body": (http(""), 400, "there is no photo"),
    "a body of numbers": (rest(5), 415, "the body is not text"),
    "queries": (rest(query=[1]), 422, "not a table"),
    "wrong query": (rest(query={"me": "1"}), 422, "no field 'me'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_events_get_one_clear_line(kind):
    event, status, words = BAD[kind]
    answer = lambda_handler(event)
    if "statusCode" in answer:
        found, detail = answer["statusCode"], json.loads(answer["body"])["detail"]
    else:
        found, detail = answer["status"], answer["detail"]
    assert (found, words in detail) == (status, True), answer
    assert "\n" not in detail and len(detail) < 400 and "Traceback" not in detail


def test_a_slow_server_is_given_up(monkeypatch, public):
    monkeypatch.setattr(download, "MAX_SECONDS", 0.3)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        address = "http://{}:{}/a.jpg".format(*silent.server_address)
        answer = lambda_handler({"url": address})
    assert answer["status"] == 400 and "it took over" in answer["detail"]


def test_our_own_faults_show_no_trace(monkeypatch, caplog):
    monkeypatch.setattr(aws, "answer", lambda fields: 1 / 0)
    answer = lambda_handler(rest("{}"))
    assert answer["statusCode"] == 500 and "division" not in answer["body"]
    assert "ZeroDivisionError" in caplog.text, "whoever runs it finds it in the log"


def test_it_needs_nothing_heavy():
    code = "import sys; import fer_utils.apps.aws; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8"
    )
    heavy = {"torch", "pandas", "fastapi", "pydantic", "cv2", "scipy", "matplotlib"}
    assert not heavy & {*done.stdout.split()}, done.stderr


@pytest.mark.timeout(900)
def test_served_by_the_runtime_client_of_aws(tmp_path):
    """The steps of deploy/lambda/Containerfile, in a bare environment."""
    steps = (ROOT / "deploy" / "lambda" / "Containerfile").read_text("utf-8")
    assert "pip install --no-cache-dir /src awslambdaric" in steps
    assert f'CMD ["{bench.HANDLER}"]' in steps
    try:
        python = bench.install(tmp_path / "venv")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the packages cannot be installed here: {error}")
    runtime = bench.Runtime()
    process = bench.start(python, runtime)
    try:
        checked(runtime.ask({"image": IMAGE}))
        assert runtime.ask({})["status"] == 400
        response = runtime.ask(rest(IMAGE, encoded=True))
        assert response["statusCode"] == 200
    finally:
        process.kill()
        process.wait()
    torch = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert torch.returncode, "no PyTorch in there"


@pytest.mark.parametrize("folder", ["lambda", "service"])
def test_what_a_container_copies_is_enough(folder):
    kept = (ROOT / ".dockerignore").read_text("utf-8").split()
    names = [name[1:] for name in kept if name.startswith("!")]
    assert all((ROOT / name).exists() for name in names)
    steps = (ROOT / "deploy" / folder / "Containerfile").read_text("utf-8")
    assert "USER 1000" in steps and "COPY . /src" in steps
