"""AWS Lambda: `predict(url)`, and a handler for direct calls and API Gateway events.

The handler's name there is `fer_utils.apps.aws.lambda_handler`. Nothing is kept of a
photo, and nothing is logged but errors of our own.
"""

import base64
import binascii
import json
import logging
import os
import time
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from ..errors import FerError, PhotoError, shorten
from ..photos import ACCEPTED, Predictor
from .answer import ABSTAIN_BELOW, NO_FACE, STATUS, as_answer

LOG = logging.getLogger(__name__)
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}
OPTIONS = ("views", "assume_cropped", "abstain_below", "min_size", "search_size")
HOW = (
    'send JSON like {"url": "https://example.org/me.jpg"} or {"image": "<base64>"}, '
    f"or the photo itself as the body ({ACCEPTED})"
)


@cache
def predictor() -> Predictor:
    """Load the network once for all calls of a container."""
    return Predictor.load()


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # before the first call, at full speed
    predictor()


def predict(url: str, **options) -> dict[str, float]:
    """Return the probabilities of the largest face in the photo at a web address.

    `options` go to `Predictor.predict`. `PhotoError` says why a photo cannot be had or
    read, `FerError` that no face was found in it.
    """
    faces = predictor().predict(url, **options)
    if not faces:
        raise FerError(NO_FACE)
    return faces[0].probabilities


def lambda_handler(event: Any, context: Any = None) -> dict:
    """Answer a direct call, or an event of API Gateway (REST or HTTP).

    A direct call is `{"url": ...}` or `{"image": "<base64>"}`, with options as for the
    REST service, and gets the answer itself, or `{"status": 4xx, "detail": ...}`. An
    event of API Gateway gets a response with `statusCode` and a JSON body.
    """
    gateway = isinstance(event, dict) and bool(
        {"httpMethod", "requestContext", "rawPath"} & event.keys()
    )
    try:
        fields = fields_of(event) if gateway else direct(event)
        status, body = 200, answer(fields)
    except PhotoError as error:
        status, body = STATUS.get(error.kind, 400), {"detail": str(error)}
    except FerError as error:
        status, body = 422, {"detail": str(error)}
    except Exception:  # the caller gets no trace of our code
        LOG.exception("a request failed")
        status, body = 500, {"detail": "this should not happen; please report it"}
    if gateway:
        text = json.dumps(body, ensure_ascii=False)
        return {"statusCode": status, "headers": HEADERS, "body": text}
    return body if status == 200 else {"status": status} | body


def answer(fields: dict[str, Any]) -> dict:
    """Return the answer to a request's fields: the photo, and options."""
    if unknown := fields.keys() - {"url", "image", *OPTIONS}:
        name = shorten(repr(sorted(map(str, unknown))[0]), 40)
        raise FerError(f"no field {name}; fields: url, image, {', '.join(OPTIONS)}")
    photos = [fields[key] for key in ("url", "image") if fields.get(key)]
    if len(photos) != 1:
        found = "no photo" if not photos else "an address and an image"
        raise PhotoError(f"there is {found} in the request; {HOW}", "empty")
    options = {key: fields[key] for key in OPTIONS if key in fields}
    options = {"abstain_below": ABSTAIN_BELOW} | options
    start = time.perf_counter()
    faces = predictor().predict(photo_of(fields), **options)
    return as_answer(faces, predictor().model_name, time.perf_counter() - start)


def photo_of(fields: dict[str, Any]) -> str | bytes:
    """Return the address or the bytes of the one photo in a request."""
    image, url = fields.get("image"), fields.get("url")
    if isinstance(image, bytes):
        return image
    if image is not None:
        if not isinstance(image, str):
            raise PhotoError(f"image is no base64 text; {HOW}", "unsupported")
        return decoded(image.partition(",")[2] if image[:5] == "data:" else image)
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
        given = shorten(repr(url), 80)
        raise PhotoError(f"url = {given}: give an http(s) address of a photo", "url")
    return url


def direct(event: Any) -> dict[str, Any]:
    """Return the fields of a direct call."""
    if not isinstance(event, dict):
        kind = type(event).__name__
        raise PhotoError(f"the event is of type {kind}; {HOW}", "empty")
    return event


def fields_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an API Gateway event: its query, then its body."""
    query = event.get("queryStringParameters") or {}
    if not query and isinstance(event.get("rawQueryString"), str):
        query = dict(parse_qsl(event["rawQueryString"]))
    if not isinstance(query, dict):
        raise FerError("queryStringParameters are not a table")
    fields = {name: value_of(name, text) for name, text in query.items()}
    body = event.get("body")
    if body is None or body == "":
        return fields
    if not isinstance(body, str):
        raise PhotoError(f"the body is not text; {HOW}", "unsupported")
    if event.get("isBase64Encoded"):
        raw = decoded(body)
        if raw.lstrip()[:1] != b"{":
            return fields | {"image": raw}
        body = raw.decode("utf-8", "replace")
    if body.lstrip()[:1] != "{":
        binary = "binary bodies need binaryMediaTypes = */* in API Gateway"
        raise PhotoError(f"the body is not JSON, and not base64; {HOW}; {binary}",
                         "unsupported")  # fmt: skip
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise PhotoError(f"the body is not valid JSON; {HOW}") from None
    return fields | sent


def value_of(name: str, text: Any) -> Any:
    """Return a value of the query string: options are numbers, true or false."""
    if name not in OPTIONS or not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def decoded(text: str) -> bytes:
    """Return the bytes of a base64 text, with or without line breaks."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise PhotoError(f"the image is not valid base64; {HOW}") from None
