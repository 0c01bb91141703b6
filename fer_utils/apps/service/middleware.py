"""What one request may cost the web service: bytes, seconds, a place in the queue."""

import asyncio
import logging

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ...photos.open import MAX_BYTES

MAX_BODY = MAX_BYTES  # with the form around it, a photo of this very size is refused
BODY_SECONDS = 60.0  # 10 MB over a slow phone line
HOW = "send one photo as multipart/form-data in the field 'file'; see /docs"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Swagger's page starts itself with an inline script and draws with inline styles.
DOCS_POLICY = POLICY.replace("'self';", "'self' 'unsafe-inline';", 1)

# It would log every wrong byte that a client sends.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


def check_free(places: asyncio.Semaphore) -> None:
    """Raise a 503 if a request would have to wait for a place."""
    if places.locked():
        detail = "the service is busy; try again in a second"
        raise HTTPException(503, detail, headers={"Retry-After": "1"})


class Guard:
    """ASGI middleware: limits each body while it is read; adds the safe headers."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        size = int(declared) if declared.isdecimal() else 0
        complete = False
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def limited_receive():
            nonlocal size, complete
            if complete:  # only the news that the client left can follow
                return await receive()
            check_size(size)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not arrive within {BODY_SECONDS:.0f} s"
                raise HTTPException(408, detail) from None
            if not declared:
                size += len(message.get("body", b""))
                check_size(size)
            complete = not message.get("more_body", False)
            return message

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"] == "/docs":
                    headers["Content-Security-Policy"] = DOCS_POLICY
            await send(message)

        await self.app(scope, limited_receive, send_with_headers)


def check_size(size: int) -> None:
    """Raise a 413 if a body of so many bytes is too large."""
    if size > MAX_BODY:
        limit = f"{MAX_BODY / 2**20:.0f} MB"
        raise HTTPException(413, f"the body is larger than {limit}; send less")


async def read_form(request: Request) -> tuple[bytes, dict[str, str]]:
    """Return the file in the field `file`, and the text fields; 4xx names a fault."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise HTTPException(415, f"this is not a form; {HOW}")
    body = request.headers, request.stream()
    parser = MultiPartParser(*body, max_files=1, max_fields=8)
    parser.spool_max_size = MAX_BODY + 1  # no photo touches the disk
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        raise HTTPException(400, f"{str(error).rstrip('.')}; {HOW}") from None
    try:
        texts = {name: text for name, text in form.items() if isinstance(text, str)}
        file = form.get("file")
        if isinstance(file, str):
            detail = "the field 'file' holds text, not a file; curl wants -F file=@PATH"
            raise HTTPException(400, f"{detail}; {HOW}")
        if not isinstance(file, UploadFile):
            named = ", ".join(repr(name[:40]) for name in form) or "none"
            detail = f"there is no file in the field 'file' (fields: {named}); {HOW}"
            raise HTTPException(400, detail)
        return await file.read(), texts
    finally:
        await form.close()
