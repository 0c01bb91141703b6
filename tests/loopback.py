"""A web site on this machine, for downloads that need no network."""

import http.server
import time

import pytest

from fer_utils.photos import PORTRAIT

WHOLE = PORTRAIT.read_bytes()


class Site(http.server.BaseHTTPRequestHandler):
    """A web site with every bad habit."""

    def do_GET(self):
        name, _, rest = self.path[1:].partition("?")
        getattr(self, name)(rest)

    def answer(self, status=200, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def photo(self, _):
        self.answer()
        self.wfile.write(WHOLE)

    def to(self, target):
        self.answer(302, Location=target)

    def loop(self, _):
        self.to("/loop")

    def page(self, _):
        self.answer()
        self.wfile.write(b"<html>no photo</html>")

    def gone(self, _):
        self.answer(404)

    def cut(self, _):
        self.answer(**{"Content-Length": str(len(WHOLE))})
        self.wfile.write(WHOLE[:1000])

    def endless(self, _):
        self.answer()
        with pytest.raises(OSError):
            while True:
                self.wfile.write(bytes(65536))

    def slow(self, where):
        if where == "body":
            self.answer()
        with pytest.raises(OSError):
            for _ in range(100):
                self.wfile.write(b"H")
                time.sleep(0.1)

    def log_message(self, *_):
        pass
