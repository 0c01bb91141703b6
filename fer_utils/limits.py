"""What one request may cost the web service: bytes, seconds, a place in the queue."""

import asyncio
import logging

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .photos import MAX_BYTES

MAX_BODY = MAX_BYTES  # a photo of just this size is refused for its envelope
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

# It would log what clients send wrong, byte by byte.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Places:
    """A number of places; whoever finds none free is told to come back (503).

    For the event loop only: not guarded against threads.
    """

    def __init__(self, number: int):
        self.free = number

    def check(self) -> None:
        """Raise the 503 if a request would find no place now."""
        if self.free < 1:
            detail = "every place is taken; try again in a second"
            raise HTTPException(503, detail, headers={"Retry-After": "1"})

    def __enter__(self):
        self.check()
        self.free -= 1

    def __exit__(self, *_):
        self.free += 1


class Guard:
    """ASGI middleware: bounds each body while it is read; adds the safe headers."""

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

        async def bounded_receive():
            nonlocal size, complete
            if complete:  # all that can follow is the client's leaving
                return await receive()
            if size > MAX_BODY:
                raise too_large()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not arrive within {BODY_SECONDS:.0f} s"
                raise HTTPException(408, detail) from None
            if not declared:
                size += len(message.get("body", b""))
                if size > MAX_BODY:
                    raise too_large()
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

        await self.app(scope, bounded_receive, send_with_headers)


def too_large() -> HTTPException:
    """Return the 413 that names the limit."""
    return HTTPException(413, f"the body is larger than {MAX_BODY / 2**20:.0f} MB")


class InMemoryParser(MultiPartParser):
    """Starlette's parser without its temporary files: no photo touches the disk."""

    spool_max_size = MAX_BODY + 1


async def read_photo(request: Request) -> bytes:
    """Return the bytes of the one file in the field `file`; 4xx says what is wrong."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise HTTPException(415, f"this is not a form; {HOW}")
    parser = InMemoryParser(
        request.headers, request.stream(), max_files=1, max_fields=8
    )
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        raise HTTPException(400, f"{str(error).rstrip('.')}; {HOW}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            named = ", ".join(repr(name[:40]) for name in form) or "none"
            detail = f"there is no file in the field 'file' (fields: {named}); {HOW}"
            raise HTTPException(400, detail)
        return await file.read()
    finally:
        await form.close()
