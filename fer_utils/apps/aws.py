"""The recogniser as a function of AWS Lambda: an event in, an answer out.

A direct invocation sends `{"url": "https://..."}` or `{"image": "<base64>"}` and gets
a plain dict. Events of API Gateway (REST, version 1; HTTP, version 2) and of a
function's own address get `{"statusCode", "headers", "body"}`. They send the same JSON,
or the bytes of a photo, or GET with `?url=`. Options are those of the web service, and
so is the answer; an error is one line: `{"detail": ...}`.
"""

import json
import logging
import os
import time
from contextlib import suppress
from functools import cache

from ..errors import FerError, PhotoError, shorten
from ..evaluation.tta import check_views
from ..photos import Predictor
from ..photos.download import download
from ..photos.open import DATA, MAX_BYTES, from_data
from ..photos.predictor import check_share
from .answer import ABSTAIN_BELOW, LIMITS, NO_FACE, as_answer, shares, status_of

GATEWAY = {"httpMethod", "requestContext", "rawPath", "body"}  # in no direct event
METHODS = ("GET", "POST")
OPTIONS = ("views", "assume_cropped", "abstain_below", "min_size", "search_size")
FIELDS = ("url", "image", *OPTIONS)
MAX_ADDRESS = 2048  # characters
MAX_JSON = MAX_BYTES * 4 // 3 + MAX_ADDRESS  # a photo in base64, and what is around it
HOW = 'send {"url": "https://..."}, {"image": "<base64>"}, or the bytes of a photo'
HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Refusal(FerError):
    """A request that cannot be answered, and the HTTP status that says so."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@cache
def predictor() -> Predictor:
    """Return the predictor, loaded once in the life of a container."""
    return Predictor.load()


def predict(url: str) -> dict[str, float]:
    """Return the probability of each expression for the largest face in a photo.

    `url`: an http(s) address on the public web. The probabilities have four digits and
    sum to 1. Raises `PhotoError` where there is no face (kind `no_face`), where the
    photo cannot be used, or where its address is refused (see `download`).
    """
    faces = predictor().predict(_fetch(url))
    if not faces:
        raise PhotoError(NO_FACE, "no_face")
    return shares(faces[0].probabilities)


def lambda_handler(event: object, context: object = None) -> dict:
    """Answer an event of AWS Lambda; no event raises.

    A gateway's event gets a proxy response whose body is JSON. A direct one gets
    the answer itself (`as_answer`), or `{"detail": what was wrong, "status": 415}`.
    """
    through_gateway = isinstance(event, dict) and not GATEWAY.isdisjoint(event)
    status, answer = _respond(event, through_gateway)
    if through_gateway:
        allow = {"Allow": ", ".join(METHODS)} if status == 405 else {}
        headers, body = HEADERS | allow, json.dumps(answer)
        return {"statusCode": status, "headers": headers, "body": body}
    return answer if status == 200 else answer | {"status": status}


def _respond(event: object, through_gateway: bool) -> tuple[int, dict]:
    """Return the HTTP status and the answer, or `{"detail": ...}`."""
    try:
        asked = _from_gateway(event) if through_gateway else event
        options, photo = _options(asked), _photo(asked)
        start = time.perf_counter()
        faces = predictor().predict(photo, **options)
        seconds = time.perf_counter() - start
        return 200, as_answer(faces, predictor().model_name, seconds)
    except Refusal as error:
        return error.status, _problem(error)
    except PhotoError as error:
        return status_of(error), _problem(error)
    except Exception:  # the caller gets one line; the stack trace stays in the log
        logging.getLogger(__name__).exception("an event could not be answered")
        return 500, {"detail": "the function failed; its log says why"}


def _problem(error: FerError) -> dict[str, str]:
    # Half of a surrogate pair, which JSON may hold, cannot be sent as UTF-8.
    return {"detail": str(error).encode("utf-8", "replace").decode()}


def _from_gateway(event: dict) -> object:
    """Return the fields that a gateway's event holds, in its query and its body."""
    inner = _table(_table(event.get("requestContext")).get("http"))  # version 2
    body = event.get("body")
    method = event.get("httpMethod") or inner.get("method")
    method = method or ("POST" if body else "GET")
    if method not in METHODS:
        ways = " or ".join(METHODS)
        raise Refusal(405, f"{shorten(method, 20)} is not answered; use {ways}")
    texts = _table(event.get("queryStringParameters"))
    query = {name: _value(name, text) for name, text in texts.items()}
    if method == "GET" or not body:
        return query
    if not isinstance(body, str):
        raise Refusal(400, f"the body is of type {type(body).__name__}, not text")
    sent = _from_body(body, event.get("isBase64Encoded") is True, _kind(event))
    return query | sent if isinstance(sent, dict) else sent


def _from_body(body: str, encoded: bool, kind: str) -> object:
    """Return what is in a JSON body; the bytes of any other are a field `image`."""
    content = _unpack(body) if encoded else body.encode("utf-8", "replace")
    # A photo may come under any media type: curl calls what it sends a form.
    if content.lstrip()[:1] in (b"{", b"[") or ("json" in kind and not encoded):
        return _from_json(content)
    if kind.startswith("multipart/"):
        raise Refusal(415, f"forms are not read here; {HOW}")
    if not encoded:  # a photo sent as text has lost its bytes on the way
        hint = "as binary data (a REST gateway wants image/* in binaryMediaTypes)"
        raise Refusal(415, f"this text is not JSON; {HOW}, {hint}")
    return {"image": content}


def _from_json(content: bytes) -> object:
    if len(content) > MAX_JSON:
        limit = MAX_BYTES >> 20
        raise Refusal(413, f"the body is too large for one photo of {limit} MB")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise Refusal(400, f"the body is damaged JSON; {HOW}") from None


def _value(name: str, text: object) -> object:
    """Return a value of the query: an option may be a number, true or false."""
    if name in OPTIONS and isinstance(text, str):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


def _options(fields: object) -> dict:
    """Return the options among the fields of a request, which are checked."""
    if not isinstance(fields, dict):
        raise Refusal(422, f"this is not a JSON object; {HOW}")
    if others := [name for name in fields if name not in FIELDS]:
        known = ", ".join(FIELDS)
        raise Refusal(422, f"no field {shorten(others[0], 40)!r}; fields: {known}")
    given = {name: fields[name] for name in OPTIONS if fields.get(name) is not None}
    try:
        _check(given)
    except FerError as error:
        raise Refusal(422, shorten(error, 200)) from None
    return {"abstain_below": ABSTAIN_BELOW} | given


def _check(options: dict) -> None:
    """Raise `FerError` for an option that the web service would refuse."""
    check_views(options.get("views", 1))
    check_share("abstain_below", options.get("abstain_below", 0))
    if (crop := options.get("assume_cropped", "auto")) not in (True, False, "auto"):
        raise FerError(f'assume_cropped = {crop!r}: give true, false or "auto"')
    for name, (low, high) in LIMITS.items():
        value = options.get(name, low)
        if type(value) is not int or not low <= value <= high:
            hint = f"give a whole number from {low} to {high}"
            raise FerError(f"{name} = {shorten(repr(value), 40)}: {hint}")


def _photo(fields: dict) -> bytes:
    """Return the bytes of the photo that the fields of a request name."""
    given = [name for name in ("url", "image") if fields.get(name) is not None]
    if len(given) != 1:
        raise Refusal(400, f"{'two photos' if given else 'no photo'}; {HOW}")
    name, value = given[0], fields[given[0]]
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise Refusal(422, f"{name} = {shorten(repr(value), 60)}: give text; {HOW}")
    if name == "url":
        return _fetch(value)
    return from_data(value) if DATA.match(value) else _unpack(value)


def _unpack(text: str) -> bytes:
    """Return the bytes in a text in base64."""
    return from_data(f"data:;base64,{text}")


def _fetch(url: str) -> bytes:
    """Return a photo from the public web; whatever is no http(s) address is refused.

    A path must never be opened: it would be a file of the function's own machine.
    """
    if not isinstance(url, str):
        raise PhotoError(f"an address is text, not {type(url).__name__}", "url")
    if len(url) > MAX_ADDRESS:
        why = f"an address may have {MAX_ADDRESS} characters, not {len(url)}"
        raise PhotoError(f"{why}; send the photo itself as image", "url")
    return download(url.strip(), False, MAX_BYTES)


def _kind(event: dict) -> str:
    """Return the media type of the body, in lower case; header names vary in case."""
    headers = _table(event.get("headers"))
    kinds = (v for k, v in headers.items() if str(k).lower() == "content-type")
    return str(next(kinds, "")).lower()


def _table(value: object) -> dict:
    """Return a dict as it is; where an event holds anything else, an empty one."""
    return value if isinstance(value, dict) else {}


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    # A container that starts has a whole processor; one that answers may have less.
    predictor()
