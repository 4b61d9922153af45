"""The app's own web server. `POST /do` sends the request in its body to the gateway: for the visitor whom PCloud named,
without a visitor, or for a visitor that it makes up."""

import http.server
import json
import os
import threading
from typing import Any

from attacker.door import ask

__all__ = ["serve_pages"]


class Pages(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        given = self.headers.get("Pcloud-User", "")
        visitor = {"pass": given, "drop": ""}.get(told["visitor"], told["visitor"])
        headers = {"Pcloud-User": visitor} if visitor else {}
        status, body = ask("POST", told["path"], told["body"], headers)
        self._answer({"status": status, "body": body, "visitor": given})

    def _answer(self, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def serve_pages() -> None:
    """Serve in a thread, on the port that core has given; do nothing without one."""
    if "PORT" in os.environ:
        pages = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Pages)
        threading.Thread(target=pages.serve_forever, daemon=True).start()
