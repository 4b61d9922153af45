"""The web server: Python's own, on loopback, with a limit on concurrent requests.

`/` draws a new puppy, `/p/SEED` the puppy of that seed, `/p/SEED.svg` only its picture. It stores nothing and answers
no other path.
"""

from __future__ import annotations

import re
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from random_puppy.drawing import draw
from random_puppy.litter import born, new_seed
from random_puppy.page import FAVICON, SCRIPT, page, sorry

__all__ = ["PuppyServer"]

AT_ONCE = 32
SEED = re.compile(r"/p/([a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)(\.svg)?")
HTML, SVG, JAVASCRIPT = "text/html; charset=utf-8", "image/svg+xml", "text/javascript; charset=utf-8"
A_DAY, NEVER = "public, max-age=86400", "no-store"
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; img-src 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without this header, a browser would not say where the sign-out form comes from
}


class Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "random-puppy", ""
    protocol_version = "HTTP/1.1"
    timeout = 15  # seconds that a silent connection is kept

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(page(born(new_seed())), HTML, NEVER)
        elif match := SEED.fullmatch(path):
            puppy = born(match[1])
            self._send(*((draw(puppy), SVG) if match[2] else (page(puppy), HTML)), A_DAY)
        elif path == "/favicon.svg":
            self._send(FAVICON, SVG, A_DAY)
        elif path == "/share.js":
            self._send(SCRIPT, JAVASCRIPT, A_DAY)
        else:
            text = sorry("No puppy here", "No puppy lives at this address. But there are always more puppies.")
            self._send(text, HTML, NEVER, HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def _send(self, text: str, kind: str, cache: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": cache,
            **SECURITY,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: visits are private."""


class PuppyServer(ThreadingHTTPServer):
    """`port` 0 picks a free one; `server_port` is the result."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Wait while too many requests are being answered; the system's queue holds the next ones."""
        self._slots.acquire()
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type]
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._slots.release()
