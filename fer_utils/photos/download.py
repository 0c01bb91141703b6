"""A photo from the web: public addresses only, within limits of bytes and seconds.

A server that fetches any address can be made to look into its own network (server-side
request forgery). So a name is resolved once, and every connection, also after a
redirect, goes to the very address that was checked.
"""

import ipaddress
import socket
import time

import httpcore
import httpx

from ..errors import PhotoError

MAX_SECONDS = 10.0  # from the first byte sent to the last byte received
MAX_REDIRECTS = 5
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "fer"}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def download(url: str, allow_private: bool, max_bytes: int) -> bytes:
    """Return the body at an http(s) address; `PhotoError` says why it was refused.

    Its kind is `private` for an address that is not public (unless `allow_private`),
    `timeout` after ten seconds, `too_large` where reading stopped at `max_bytes`, and
    `url` for all else: other schemes, more than five redirects, no such server.
    """
    backend = _Backend(time.monotonic() + MAX_SECONDS, allow_private)
    try:
        # No proxy from the environment: it would resolve names without our checks.
        with httpcore.ConnectionPool(network_backend=backend) as pool:
            target = httpx.URL(url)
            for _ in range(MAX_REDIRECTS + 1):
                answer = _get(pool, target, max_bytes)
                if isinstance(answer, bytes):
                    return answer
                target = answer
            raise _refused(url, f"it redirects more than {MAX_REDIRECTS} times")
    except httpcore.TimeoutException:
        raise _refused(url, f"it took over {MAX_SECONDS:.0f} s", "timeout") from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise _refused(url, "the server cannot be reached or broke off") from None
    except (httpx.InvalidURL, UnicodeError):
        raise _refused(url, "this is not a valid address") from None


def _get(pool: httpcore.ConnectionPool, url: httpx.URL, max_bytes: int):
    """Return the body (bytes) or where the server redirects to (URL)."""
    if url.scheme not in ("http", "https") or not url.host:
        raise _refused(url, "only http:// and https:// addresses are accepted")
    origin = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    headers = {"Host": url.netloc, **HEADERS}
    with pool.stream("GET", origin, headers=headers) as response:
        location = httpx.Headers(response.headers).get("location")
        if 300 <= response.status < 400 and location:
            return url.join(location)
        if response.status != 200:
            raise _refused(url, f"the server answered {response.status}")
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > max_bytes:
                why = f"it is larger than {max_bytes >> 20} MB"
                raise _refused(url, why, "too_large")
        return bytes(body)


def _refused(url: str | httpx.URL, why: str, kind: str = "url") -> PhotoError:
    text = str(url)
    short = text if len(text) <= 80 else f"{text[:79]}…"
    return PhotoError(f"{short} was not fetched: {why}", kind)


class _Backend(httpcore.SyncBackend):
    """Connects only to addresses that were checked, and to none after the deadline."""

    def __init__(self, deadline: float, allow_private: bool):
        self.deadline, self.allow_private = deadline, allow_private

    def connect_tcp(self, host: str, port: int, timeout=None, **options):
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _refused(host, "there is no server with this name") from None
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if not self.allow_private and not all(map(is_public, addresses)):
            raise _refused(host, "this is not a public address", "private")
        error: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                # One dead address must not use up the time of the others.
                seconds = min(_left(self.deadline), MAX_SECONDS / 3)
                stream = super().connect_tcp(address, port, seconds, **options)
                return _Stream(stream, self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes share one deadline.

    Time limits for single reads would let a server send one byte a second for ever.
    """

    def __init__(self, inner: httpcore.NetworkStream, deadline: float):
        self.inner, self.deadline = inner, deadline
        self.close, self.get_extra_info = inner.close, inner.get_extra_info

    def read(self, max_bytes: int, timeout=None) -> bytes:
        return self.inner.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout=None) -> None:
        self.inner.write(buffer, _left(self.deadline))

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        left = _left(self.deadline)
        secure = self.inner.start_tls(ssl_context, server_hostname, left)
        return _Stream(secure, self.deadline)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout
    return seconds


def is_public(address: str) -> bool:
    """Say whether an IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6:  # one that carries an IPv4 address is judged by that
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.ip_address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return ip.is_global and not ip.is_multicast
