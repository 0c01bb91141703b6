"""What the service tells whoever runs it: figures for Prometheus, a line a request.

Neither holds a photo, an address, a name of a file or who asked.
"""

import json
import logging
import re
import time
import uuid
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders

LOG = logging.getLogger("fer_utils.service")
REQUEST_ID = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")  # what a client's own id may look like
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Figures:
    """How many requests came, how they ended, how long they took, faces found."""

    def __init__(self):
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter(
            "fer_requests", "Requests, by route and status.", ["route", "status"], **own
        )
        self.seconds = Histogram(
            "fer_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            buckets=SECONDS,
            **own,
        )
        self.faces = Counter("fer_faces", "Faces found in photos.", **own)


class Observe:
    """ASGI middleware: gives each request an id, times, counts and logs it.

    The id is the client's own `X-Request-ID` if it is short and plain, else a new one;
    the answer carries it, and so does the line in the log.
    """

    def __init__(self, app, figures: Figures):
        self.app, self.figures = app, figures

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        number = given if SANE.fullmatch(given) else uuid.uuid4().hex
        start, status = time.perf_counter(), 500

        async def send_with_id(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = number
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self.note(scope, number, status, time.perf_counter() - start)

    def note(self, scope, number: str, status: int, seconds: float) -> None:
        """Count and log a request by its route: paths may hold anything."""
        route = getattr(scope.get("route"), "path", "other")
        self.figures.requests.labels(route, status).inc()
        self.figures.seconds.labels(route).observe(seconds)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": number,
            "method": scope["method"][:16],
            "route": route,
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
        }
        LOG.info(json.dumps(line))


def log_to_stderr() -> None:
    """Write the lines of `Observe` to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
