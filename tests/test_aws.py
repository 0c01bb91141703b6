"""The Lambda function: every form of event, every kind of bad one, and the container.

What needs a photo from the web gets it from a site on this machine.
"""

import base64
import json
import logging
import re
import subprocess
import sys

import numpy as np
import pytest
from aws import CONTAINERFILE, build, measure, serving, table
from layouts import encode, png_header

from fer_utils.errors import FerError, PhotoError
from fer_utils.labels import EMOTIONS
from fer_utils.photos import PORTRAIT, Predictor, download

pytest.importorskip("httpcore")

from fer_utils.apps import aws
from fer_utils.apps.aws import lambda_handler, predict


def b64(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


PHOTO = PORTRAIT.read_bytes()
IMAGE = b64(PHOTO)
BLANK = encode(np.full((200, 300, 3), 128, np.uint8), "PNG")


@pytest.fixture
def public(site, monkeypatch):
    """The address of the site on this machine, which counts as public here."""
    monkeypatch.setattr(download, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(download, "MAX_SECONDS", 1.0)
    return site


# Events of a gateway, as AWS documents them, less what the function does not read.


def v1(body=None, method="POST", query=None, encoded=False, kind="application/json"):
    return {
        "resource": "/predict",
        "path": "/predict",
        "httpMethod": method,
        "headers": {"Content-Type": kind, "Host": "example.org"},
        "queryStringParameters": query,
        "requestContext": {"stage": "prod", "httpMethod": method},
        "body": body,
        "isBase64Encoded": encoded,
    }


def v2(body=None, method="POST", query=None, encoded=False, kind="application/json"):
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/predict",
        "headers": {"content-type": kind, "host": "example.org"},
        "requestContext": {"http": {"method": method, "path": "/predict"}},
        "isBase64Encoded": encoded,
    }
    event |= {"queryStringParameters": query} if query else {}
    return event | ({"body": body} if body is not None else {})


both = pytest.mark.parametrize("event", [v1, v2])


def answered(event, status=200):
    """Return the JSON of a proxy response after checks of all around it."""
    response = lambda_handler(event, None)
    assert response.keys() == {"statusCode", "headers", "body"}
    assert response["headers"]["Content-Type"] == "application/json"
    assert response["statusCode"] == status, response["body"]
    return checked(json.loads(response["body"]), status)


def asked(event, status=200):
    """Return the answer to a direct invocation."""
    answer = lambda_handler(event)
    json.dumps(answer, ensure_ascii=False).encode()  # as AWS sends it
    assert answer.pop("status", 200) == status, answer
    return checked(answer, status)


def checked(answer, status):
    if status == 200:
        assert "detail" not in answer
        return answer
    detail = answer["detail"]
    assert answer.keys() == {"detail"} and len(detail) > 10
    assert "\n" not in detail and "Traceback" not in detail and len(detail) < 400
    return detail


def is_the_portrait(answer):
    (face,) = answer["faces"]
    assert answer["predicted_class"] == face["emotion"] == "happy"
    assert list(face["probabilities"]) == list(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    left, top, right, bottom = face["box"]
    assert left < 224 < right and top < 120 < bottom, "the astronaut's nose"
    assert answer["message"] is None and answer["milliseconds"] > 0
    assert "prohibited" in answer["notice"]


# predict


def test_predict(public):
    found = predict(f"{public}/to?/photo")
    assert list(found) == list(EMOTIONS) and max(found, key=found.get) == "happy"
    (face,) = Predictor.load().predict(PORTRAIT)
    assert found == pytest.approx(face.probabilities, abs=1e-4)


def test_predict_takes_the_largest_face(public, monkeypatch):
    faces = Predictor.load().predict(PORTRAIT)
    monkeypatch.setattr(Predictor, "predict", lambda *_, **__: [*faces, "smaller"])
    assert max(predict(f"{public}/photo").items(), key=lambda x: x[1])[0] == "happy"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1/a.jpg", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
        ("http://[::1]:9001/2018-06-01/runtime/invocation/next", "private"),
        ("/etc/passwd", "url"),
        (str(PORTRAIT), "url"),
        (PORTRAIT.as_uri(), "url"),
        ("data:image/jpeg;base64," + IMAGE[:100], "url"),
        ("http://" + "a" * 3000, "url"),
        ("http://\ud800/", "url"),
        ("http://exa\0mple.org/", "url"),
        ("", "url"),
        (None, "url"),
        (7, "url"),
        (PHOTO, "url"),
    ],
)
def test_addresses_that_are_refused(url, kind):
    with pytest.raises(PhotoError) as caught:
        predict(url)
    assert caught.value.kind == kind


def test_predict_without_a_face(public, monkeypatch):
    monkeypatch.setattr(aws, "download", lambda *_: BLANK)
    with pytest.raises(PhotoError, match="No face was found") as caught:
        predict(f"{public}/photo")
    assert caught.value.kind == "no_face"


# Good events


@pytest.mark.parametrize(
    "image", [IMAGE, f"data:image/jpeg;base64,{IMAGE}", f"\n{IMAGE}\n"]
)
def test_a_direct_photo(image):
    is_the_portrait(asked({"image": image}))
    is_the_portrait(asked({"image": image, "url": None}))


def test_a_direct_address(public):
    is_the_portrait(asked({"url": f" {public}/photo\n"}))


@both
def test_json(event, public):
    is_the_portrait(answered(event(json.dumps({"image": IMAGE}))))
    is_the_portrait(answered(event(json.dumps({"url": f"{public}/photo"}))))
    is_the_portrait(answered(event(json.dumps({"image": IMAGE}), kind="text/plain")))
    packed = b64(json.dumps({"image": IMAGE}).encode())
    is_the_portrait(answered(event(packed, encoded=True)))


@both
@pytest.mark.parametrize("kind", ["image/jpeg", "application/json", "x=1", ""])
def test_bytes(event, kind):
    is_the_portrait(answered(event(IMAGE, encoded=True, kind=kind)))


@both
def test_get(event, public):
    query = {"url": f"{public}/photo"}
    is_the_portrait(answered(event(method="GET", query=query)))
    is_the_portrait(answered(event(method="POST", query=query)))


def test_options():
    options = {"views": 1, "min_size": 60, "search_size": 512, "abstain_below": 1}
    answer = asked({"image": IMAGE} | options)
    (expected,) = Predictor.load().predict(PORTRAIT, **options)
    assert answer["predicted_class"] == "unsure"
    assert answer["faces"][0]["box"] == list(expected.box)
    query = {"assume_cropped": "true", "views": "1"}
    (whole,) = answered(v2(IMAGE, encoded=True, query=query))["faces"]
    assert whole["box"] == [0, 0, 512, 512]


def test_a_body_alone_is_a_gateways_event():
    is_the_portrait(answered({"body": json.dumps({"image": IMAGE})}))


def test_no_face_is_an_answer():
    answer = asked({"image": b64(BLANK)})
    assert answer["faces"] == [] and answer["predicted_class"] is None
    assert answer["confidence"] is None and "No face" in answer["message"]
    assert answered(v1(b64(BLANK), encoded=True))["faces"] == []


def test_the_answer_is_the_services():
    schemas = pytest.importorskip("fer_utils.apps.service.schemas")
    answer = asked({"image": IMAGE})
    assert schemas.Answer(**answer).model_dump(mode="json") == answer


def test_the_predictor_is_loaded_once(monkeypatch):
    monkeypatch.setattr(Predictor, "load", lambda: pytest.fail("loaded again"))
    asked({"image": IMAGE})


# Bad events


NOT_FIELDS = [
    (None, 422, "this is not a JSON object; send"),
    ([], 422, "not a JSON object"),
    ("http://example.org/a.jpg", 422, "not a JSON object"),
    (7, 422, "not a JSON object"),
    ({}, 400, "no photo; send"),
    ({"url": None}, 400, "no photo"),
    ({"link": "x"}, 422, "no field 'link'; fields: url, image, views"),
    ({"image": IMAGE, "views": 3}, 422, "views = 3: use one of"),
    ({"image": IMAGE, "views": ["x"] * 900}, 422, "views = "),
    ({"image": IMAGE, "abstain_below": 1.5}, 422, "abstain_below = 1.5"),
    ({"image": IMAGE, "assume_cropped": "yes"}, 422, "give true, false or"),
    ({"image": IMAGE, "min_size": -1}, 422, "min_size = -1: .* from 12 to 2048"),
    ({"image": IMAGE, "min_size": True}, 422, "min_size = True"),
    ({"image": IMAGE, "search_size": 10**9}, 422, "search_size = 1000000000"),
    ({"image": IMAGE, "search_size": "640"}, 422, "search_size = '640'"),
    ({"l" * 500: "x"}, 422, "no field 'lll"),
    ({"\ud800": "x"}, 422, "no field"),
    ({"url": "http://a.example/", "image": IMAGE}, 400, "two photos; send"),
    ({"url": 7}, 422, "url = 7: give text"),
    ({"url": ["x"] * 900}, 422, "url = .*give text"),
    ({"image": {"a": 1}}, 422, "image = .*give text"),
    ({"image": True}, 422, "image = True: give text"),
    ({"image": ""}, 400, "is empty"),
    ({"image": "a#b"}, 400, "base64 is damaged"),
    ({"image": IMAGE[:-3]}, 400, "base64 is damaged"),
    ({"image": "é" * 99}, 400, "base64 is damaged"),
    ({"image": "\ud800"}, 400, "base64 is damaged"),
    ({"image": "/etc/passwd"}, 400, "base64 is damaged"),
    ({"image": str(PORTRAIT)}, 400, "base64 is damaged"),
    ({"image": "http://example.org/a.jpg"}, 400, "base64 is damaged"),
    ({"image": "data:image/png,abc"}, 415, "not in base64"),
    ({"image": b64(b"This is no photo. " * 9)}, 415, "accepted format: JPEG"),
    ({"image": b64(b"<svg/>" * 9)}, 415, "accepted format: JPEG"),
    ({"image": b64(PHOTO[:3000])}, 400, "damaged"),
    ({"image": b64(png_header(20_000, 20_000))}, 413, "pixels"),
    ({"image": "A" * (15 * 2**20)}, 413, "larger than 10 MB"),
    ({"url": ""}, 400, "only http"),
    ({"url": "ftp://example.org/a.jpg"}, 400, "only http"),
    ({"url": "file:///etc/passwd"}, 400, "only http"),
    ({"url": "/etc/passwd"}, 400, "only http"),
    ({"url": "http://[::1"}, 400, "not a valid address"),
    ({"url": "http://\ud800/"}, 400, "was not fetched"),
    ({"url": "http://" + "a" * 9000}, 400, "2048 characters"),
    ({"url": "http://localhost/"}, 403, "not a public address"),
    ({"url": "http://10.0.0.1/"}, 403, "not a public address"),
    ({"url": "http://169.254.170.2/v2/credentials"}, 403, "not a public address"),
]


@pytest.mark.parametrize(("event", "status", "says"), NOT_FIELDS)
def test_bad_fields(event, status, says):
    assert re.search(says, asked(event, status))
    answered(v1(json.dumps(event)), status)  # a gateway passes the same on as text


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("page", 415),
        ("gone", 400),
        ("cut", 400),
        ("loop", 400),
        ("endless", 413),
        ("slow?body", 504),
        ("slow?head", 504),
        ("to?http://10.0.0.1/", 403),
    ],
)
def test_bad_servers(public, way, status):
    address = {"url": f"{public}/{way}"}
    asked(address, status)
    answered(v2(method="GET", query=address), status)


@both
@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, 400, "no photo"),
        ({"body": ""}, 400, "no photo"),
        ({"method": "GET"}, 400, "no photo"),
        ({"method": "GET", "query": {"link": "x"}}, 422, "no field 'link'"),
        ({"method": "GET", "query": "url=x"}, 400, "no photo"),
        ({"method": "GET", "query": {"views": "3"}}, 422, "use one of 1, 2, 6"),
        ({"method": "GET", "query": {"views": "many"}}, 422, "'many': use one of"),
        ({"method": "GET", "query": {"views": "[" * 9999}}, 422, "use one of"),
        ({"method": "GET", "query": {"abstain_below": "NaN"}}, 422, "from 0 to 1"),
        ({"method": "PUT", "body": "x"}, 405, "PUT is not answered; use GET or POST"),
        ({"method": "DELETE"}, 405, "DELETE"),
        ({"method": ["GET"]}, 405, "GET or POST"),
        ({"body": 7}, 400, "type int, not text"),
        ({"body": {"url": "x"}}, 400, "type dict, not text"),
        ({"body": "{"}, 400, "damaged JSON"),
        ({"body": "[" * 100_000}, 400, "damaged JSON"),
        ({"body": "\ufeff{"}, 400, "damaged JSON"),
        ({"body": "null"}, 422, "JSON object"),
        ({"body": "7", "kind": "text/plain"}, 415, "is not JSON"),
        (
            {"body": PHOTO.decode("utf-8", "replace"), "kind": "image/jpeg"},
            415,
            "binary",
        ),
        ({"body": IMAGE, "kind": "image/jpeg"}, 415, "this text is not JSON"),
        ({"body": "x=1", "kind": "multipart/form-data; boundary=cut"}, 415, "forms"),
        ({"body": "a#b", "encoded": True}, 400, "base64 is damaged"),
        ({"body": "QQ=", "encoded": True}, 400, "base64 is damaged"),
        ({"body": b64(b"no photo"), "encoded": True, "kind": ""}, 415, "JPEG"),
        ({"body": b64(b"\xff{"), "encoded": True}, 415, "JPEG"),
        ({"body": "A" * (15 * 2**20), "encoded": True}, 413, "larger than 10 MB"),
        ({"body": "{" + " " * (15 * 2**20)}, 413, "too large"),
    ],
)
def test_bad_events_of_a_gateway(event, options, status, says):
    assert says in answered(event(**options), status)


@pytest.mark.parametrize(
    "event",
    [
        {"requestContext": "x"},
        {"requestContext": {"http": 7}},
        {"httpMethod": None, "headers": ["x"], "queryStringParameters": 7},
        {"rawPath": "/", "headers": {"content-type": None}},
        {"body": None},
        {"httpMethod": "POST", "headers": {7: 8}, "body": None},
    ],
)
def test_events_with_parts_of_another_type(event):
    answered(event, 400)


def test_405_says_what_is_allowed():
    response = lambda_handler(v2(method="PUT"), None)
    assert response["headers"]["Allow"] == "GET, POST"


def test_a_fault_of_ours_stays_in_the_log(monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("secret")

    monkeypatch.setattr(Predictor, "predict", fail)
    with caplog.at_level(logging.ERROR):
        assert "secret" not in asked({"image": IMAGE}, 500)
        assert "secret" not in answered(v1(json.dumps({"image": IMAGE})), 500)
    assert "secret" in caplog.text


def test_weights_that_do_not_load_are_a_fault_of_ours(monkeypatch):
    def fail():
        raise FerError("no weights")

    monkeypatch.setattr(aws, "predictor", fail)
    assert "its log" in asked({"image": IMAGE}, 500)


# The container, without a container


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric runs on Linux only")
def test_the_function_as_lambda_runs_it(tmp_path, capsys):
    """A bare Python, the Containerfile's steps, and AWS's client of the runtime."""
    try:
        python, packages = build(tmp_path / "fer")
    except subprocess.CalledProcessError as error:
        if re.search(
            "No matching distribution|[Cc]onnection|getaddrinfo", error.stderr
        ):
            pytest.skip("pip cannot fetch awslambdaric here; it needs a network")
        pytest.fail(error.stderr)
    assert not [*packages.glob("torch*"), *packages.glob("fastapi*")]
    found = measure(python, packages, calls=10)
    assert found["answer"]["statusCode"] == 200
    is_the_portrait(json.loads(found["answer"]["body"]))
    with capsys.disabled():
        print(f"\n{table(found)}")
    assert found["megabytes"] <= 250 and found["memory"] <= 300
    assert found["cold_cpu"] <= 4, "seconds; the clock would also count neighbours"
    with serving(python, packages) as (process, runtime):
        assert runtime.ask({"url": "http://127.0.0.1/"})["status"] == 403
        assert runtime.ask({"url": "http://\ud800/"})["status"] == 400
        assert runtime.ask(None)["status"] == 422
        is_the_portrait(runtime.ask({"image": IMAGE}))
        assert process.poll() is None


@pytest.mark.parametrize("name", ["lambda", "service"])
def test_containerfiles_copy_all_that_the_package_is_made_of(name):
    """A folder that setuptools would look for, and files that pyproject names."""
    root = CONTAINERFILE.parents[2]
    text = (root / "deploy" / name / "Containerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
    copied = " ".join(copied).split()
    assert all((root / path).exists() for path in copied)
    assert {"fer_utils", "report/runs", "README.md", "LICENSE"} < {*copied}
    kept = (root / ".dockerignore").read_text("utf-8").split()
    assert {f"!{path}" for path in copied} <= {*kept}
    assert "\nUSER 1000\n" in text and "torch" not in text


def test_notebook_7_quotes_the_containerfile():
    root = CONTAINERFILE.parents[2]
    book = (root / "notebooks" / "07_serve_and_deploy.ipynb").read_text("utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(book)["cells"]]
    (table,) = re.findall(r"(?s)\| line \| why \|\n(.*?)\n\n", "\n".join(cells))
    lines = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
    text = (root / "deploy" / "service" / "Containerfile").read_text("utf-8")
    assert len(lines) > 5
    for part in (part for line in lines for part in line.split("…")):
        assert part.strip() in text
