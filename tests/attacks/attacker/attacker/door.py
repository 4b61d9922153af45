"""The app's gateway, by hand: a unix socket or an address on the sandbox's own loopback."""

import http.client
import json
import os
import socket
from typing import Any

__all__ = ["ask"]


class OverUnix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("core", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def ask(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, url: str = ""
) -> tuple[int, Any]:
    """Return status and answer."""
    url = url or os.environ["PCLOUD_URL"]
    connection = (
        OverUnix(url[7:])
        if url.startswith("unix://")
        else http.client.HTTPConnection(url.partition("//")[2], timeout=60)
    )
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    raw = answer.read()
    try:
        return answer.status, json.loads(raw)
    except ValueError:
        return answer.status, raw.decode(errors="replace")
