"""The web service: a photo in, its faces with probabilities out; a page at `/`.

A photo stays in memory until its request is answered and is kept nowhere else; every
resource has a limit. An error is answered with `{"detail": ...}`: what to do next.
"""

import asyncio
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import ClientDisconnect

from ...errors import FerError, PhotoError, reason
from ...labels import class_colour
from ...photos import ACCEPTED, PORTRAIT, Predictor
from ...photos.download import download
from ..answer import ABSTAIN_BELOW, as_answer, status_of
from .middleware import MAX_BODY, Guard, check_free, read_form
from .observe import Figures, Observe, log_to_stderr
from .schemas import (
    FORM_BODY,
    PROBLEMS,
    URL_PROBLEMS,
    Address,
    Answer,
    Options,
    problem_of,
    read_options,
    responses,
)

MAX_UPLOADS = 32  # bodies held at once: at most 32 * MAX_BODY bytes
WEB = Path(__file__).parents[1] / "web"


def create_app(
    predictor: Predictor, allow_urls: bool = False, slots: int = 2, queue: int = 8
) -> FastAPI:
    """Return the service: `slots` predictions at once, at most `queue` more waiting."""
    app = FastAPIOffline(
        redoc_url=None,
        favicon_url="web/icon.svg",
        title="Facial expressions",
        description=(WEB / "api.md").read_text("utf-8"),
    )
    figures = Figures()
    app.add_middleware(Guard)
    app.add_middleware(Observe, figures=figures)
    app.mount("/web", StaticFiles(directory=WEB))
    pool = ThreadPoolExecutor(slots, thread_name_prefix="predict")
    fetchers = ThreadPoolExecutor(2, thread_name_prefix="fetch")
    places, uploads = asyncio.Semaphore(slots + queue), asyncio.Semaphore(MAX_UPLOADS)
    loop = asyncio.get_running_loop

    async def predict(photo: bytes, options: Options) -> Answer:
        settings = options.model_dump(include={*Options.model_fields})

        def timed():
            start = time.perf_counter()
            faces = predictor.predict(photo, **settings)
            return faces, time.perf_counter() - start

        check_free(places)
        async with places:
            faces, seconds = await loop().run_in_executor(pool, timed)
        figures.faces.inc(len(faces))
        return Answer(**as_answer(faces, predictor.model_name, seconds))

    @app.post(
        "/predict",
        summary="Read the faces in a photo",
        description=f"`file` holds one photo: {ACCEPTED}. The rest are options.",
        responses=responses(PROBLEMS),
        openapi_extra={"requestBody": FORM_BODY},
    )
    async def predict_upload(request: Request) -> Answer:
        check_free(places)  # before the body is read
        check_free(uploads)
        async with uploads:
            photo, fields = await read_form(request)
            try:
                options = read_options(fields)
            except ValueError as error:
                raise HTTPException(422, str(error)) from None
            return await predict(photo, options)

    @app.post(
        "/predict-url",
        summary="Read the faces in a photo on the web",
        description="Off unless the server was started with `--allow-urls`.",
        responses=responses(URL_PROBLEMS),
    )
    async def predict_url(address: Address) -> Answer:
        if not allow_urls:
            detail = "addresses are off; start the server with --allow-urls"
            raise HTTPException(403, detail)
        check_free(places)
        check_free(uploads)
        async with uploads:
            fetching = download, address.url, False, MAX_BODY
            photo = await loop().run_in_executor(fetchers, *fetching)
            return await predict(photo, address)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the service runs, and with which model."""
        return {"status": "ok", "model": predictor.model_name}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Return counts and times for Prometheus."""
        found = generate_latest(figures.registry)
        return Response(found, media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    @app.get("/sample.jpg", include_in_schema=False)
    async def sample() -> FileResponse:
        return FileResponse(PORTRAIT)

    @app.get("/settings", include_in_schema=False)
    async def settings() -> dict:
        """Return what the page must know: order and colours, model, limit."""
        colours = {name: class_colour(name) for name in predictor.classes}
        about = {"model": predictor.model_name, "max_bytes": MAX_BODY}
        return {"colours": colours, "abstain_below": ABSTAIN_BELOW, **about}

    @app.exception_handler(PhotoError)
    async def bad_photo(_, error: PhotoError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_of(error))

    @app.exception_handler(RequestValidationError)
    async def bad_json(_, error: RequestValidationError) -> JSONResponse:
        wrong = problem_of(error.errors())
        detail = f'{wrong}; send JSON like {{"url": "https://example.org/a.jpg"}}'
        return JSONResponse({"detail": detail}, 422)

    @app.exception_handler(ClientDisconnect)
    async def gone(*_) -> JSONResponse:  # never received; it keeps the log clean
        return JSONResponse({"detail": "the client left"}, 400)

    return app


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket whose answers leave at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Without this the body waits some 40 ms until the client has acknowledged the
    # headers: asyncio sets it only on sockets that name their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def server(app: FastAPI) -> uvicorn.Server:
    """Return a uvicorn server that logs errors only: no addresses, no bodies.

    `server.run([listener])` serves on a socket from `listen`.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_urls: bool = False,
    weights: str | None = None,
    log: bool = False,
) -> None:
    """Load the model and serve until interrupted; `FerError` if the port is taken.

    `log`: write a line of JSON a request to standard error, without who asked or what.
    """
    try:
        listener = listen(host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        why = f"cannot listen on {host}:{port} ({reason(error)})"
        raise FerError(f"{why}; try another --host or --port") from None
    with listener:
        predictor = Predictor.load(weights)
        if log:
            log_to_stderr()
        host, port = listener.getsockname()[:2]
        if host not in ("127.0.0.1", "::1"):
            print("Other machines can reach this server, and there is no login.")
        where = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        print(f"{predictor.model_name} at {where} (API: /docs); Ctrl+C stops it")
        sys.stdout.flush()
        server(create_app(predictor, allow_urls)).run([listener])
