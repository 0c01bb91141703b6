"""The web service: a photo in, its faces with probabilities out; a page at `/`.

Made for one small machine. The model is loaded once; photos live in memory for the
length of their request and nowhere else; every resource has a bound (`limits.py`).
What cannot be served is answered with `{"detail": ...}`, one line on what to do.
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.requests import ClientDisconnect

from .answers import FORM_BODY, RESPONSES, Address, Answer, Problem, as_answer
from .config import FerError, reason
from .fetch import fetch
from .labels import COLOURS
from .limits import MAX_BODY, Guard, Places, read_photo
from .photos import ACCEPTED, PhotoError
from .predict import Predictor

MAX_UPLOADS = 32  # bodies held at once: at most 32 * MAX_BODY bytes
WEB = Path(__file__).parent / "web"
ABSTAIN_BELOW = 0.4  # calibrated: of such answers more than half are wrong
STATUS = {"unsupported": 415, "too_large": 413, "too_small": 422}  # others: 400
ABOUT = """Finds the faces in a photo and names the expression of each.

It names the expression that a face **shows to a viewer**, not what the person feels,
and it is often wrong. Not for monitoring people: emotion recognition at work and in
education is prohibited in the EU (AI Act, Art. 5(1)(f)); other uses are high-risk, and
people must be told. Photos are not stored.

    curl -F file=@portrait.jpg http://127.0.0.1:8000/predict
"""


def create_app(
    predictor: Predictor, allow_urls: bool = False, slots: int = 2, queue: int = 8
) -> FastAPI:
    """Return the service: `slots` predictions at once, at most `queue` more waiting."""
    app = FastAPIOffline(
        redoc_url=None,
        favicon_url="web/icon.svg",
        title="Facial expressions",
        description=ABOUT,
    )
    app.add_middleware(Guard)
    app.mount("/web", StaticFiles(directory=WEB))
    pool = ThreadPoolExecutor(slots, thread_name_prefix="predict")
    fetchers = ThreadPoolExecutor(2, thread_name_prefix="fetch")
    predictions, uploads = Places(slots + queue), Places(MAX_UPLOADS)
    loop = asyncio.get_running_loop

    async def predict(photo: bytes) -> Answer:
        def timed():
            start = time.perf_counter()
            faces = predictor.predict(photo, abstain_below=ABSTAIN_BELOW)
            return faces, time.perf_counter() - start

        with predictions:
            faces, seconds = await loop().run_in_executor(pool, timed)
        return as_answer(faces, predictor.model_name, seconds)

    @app.post(
        "/predict",
        summary="Read the faces in a photo",
        description=f"The field `file` holds one photo: {ACCEPTED}.",
        responses=RESPONSES,
        openapi_extra={"requestBody": FORM_BODY},
    )
    async def predict_upload(request: Request) -> Answer:
        predictions.check()  # before the body is read
        with uploads:
            return await predict(await read_photo(request))

    @app.post(
        "/predict-url",
        summary="Read the faces in a photo on the web",
        description="Off unless the server was started with `--allow-urls`.",
        responses=RESPONSES | {403: {"model": Problem, "description": "it is off"}},
    )
    async def predict_url(address: Address) -> Answer:
        if not allow_urls:
            detail = "addresses are off; start the server with --allow-urls"
            raise HTTPException(403, detail)
        predictions.check()
        with uploads:
            fetching = fetch, address.url, False, MAX_BODY
            return await predict(await loop().run_in_executor(fetchers, *fetching))

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the service runs, and with which model."""
        return {"status": "ok", "model": predictor.model_name}

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    @app.get("/settings", include_in_schema=False)
    async def settings() -> dict:
        """What the page must know, said once: order and colours, model, limit."""
        names = predictor.model.classes  # "angry+disgust" where a run merges them
        colours = {name: COLOURS[name.partition("+")[0]] for name in names}
        model = predictor.model_name
        return {"colours": colours, "model": model, "max_bytes": MAX_BODY}

    @app.exception_handler(PhotoError)
    async def bad_photo(_, error: PhotoError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, STATUS.get(error.kind, 400))

    @app.exception_handler(RequestValidationError)
    async def bad_json(_, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()[0]["msg"]
        detail = f'{wrong}; send JSON like {{"url": "https://example.org/a.jpg"}}'
        return JSONResponse({"detail": detail}, 422)

    @app.exception_handler(ClientDisconnect)
    async def gone(*_) -> JSONResponse:  # nobody hears it; it keeps the log clean
        return JSONResponse({"detail": "the client left"}, 400)

    return app


def server(app: FastAPI, host: str, port: int) -> uvicorn.Server:
    """Return a uvicorn server that logs errors only: no addresses, no bodies."""
    config = uvicorn.Config(
        app,
        host,
        port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket whose answers leave at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Else the body waits for the client to acknowledge the headers, some 40 ms: asyncio
    # sets this itself only on sockets that name their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve `app` from a thread on a free loopback port; yields its address."""
    with listen("127.0.0.1", 0) as listener:
        runner = server(app, *listener.getsockname())
        thread = threading.Thread(target=runner.run, args=([listener],), daemon=True)
        thread.start()
        while not runner.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            runner.should_exit = True
            thread.join()


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_urls: bool = False,
    weights: str | None = None,
) -> None:
    """Load the model and serve until interrupted; `FerError` if the port is taken."""
    try:
        listener = listen(host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        raise FerError(
            f"cannot listen on {host}:{port} ({reason(error)}); try another --host or "
            "--port"
        ) from None
    # Requests run side by side; more threads for one small network only wait in turns.
    torch.set_num_threads(1)
    with listener:
        predictor = Predictor.load(weights)
        host, port = listener.getsockname()[:2]
        if host not in ("127.0.0.1", "::1"):
            print("Others can reach this server, and there is no login.")
        where = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        print(f"{predictor.model_name} at {where} (API: /docs); Ctrl+C ends it")
        sys.stdout.flush()
        server(create_app(predictor, allow_urls), host, port).run([listener])
