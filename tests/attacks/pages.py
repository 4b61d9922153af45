"""Core's web address as a page of an app, and as a device, see it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.node_process import NodeProcess

__all__ = ["Page", "device_asks"]

Answer = tuple[int, Any]


class Page:
    """What scripts of the page of `app` can do in the browser of the owner, who is signed in there."""

    def __init__(self, node: NodeProcess, app: str) -> None:
        address = urlsplit(node.address)
        self._port = address.port
        self._host = f"{app}.localhost:{address.port}"
        form = urlencode({"token": node.token, "next": f"http://{self._host}/"})
        own, kind = f"localhost:{address.port}", {"Content-Type": "application/x-www-form-urlencoded"}
        onward = self._send("POST", "/signin", form.encode(), {"Host": own, **kind})
        entry = urlsplit(onward.headers["Location"])
        entered = self._send("GET", f"{entry.path}?{entry.query}", None, {"Host": self._host})
        self._cookie = entered.headers["Set-Cookie"].partition(";")[0]

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        return self.post("/_pcloud/graphql", {"query": query, "variables": variables or {}})

    def call(self, target: str, **args: Any) -> Answer:
        """As scripts call actions: with the owner's session, on the page's own origin."""
        app, _, action = target.rpartition("/")
        query = "mutation($app: String!, $action: String!, $args: JSON) { callAction(app: $app, action: $action, args: $args) }"
        return self.graphql(query, {"app": app, "action": action, "args": args})

    def ask_server(self, path: str, body: Any, *, visitor: str = "pass") -> dict[str, Any]:
        """Have the app's own web server ask its gateway: for the visitor whom core names, for nobody (`drop`), or for whom `visitor`
        pretends. `status`, `body`, and `visitor`: what core said of who visits."""
        return self.post("/do", {"path": path, "body": body, "visitor": visitor})[1]

    def post(self, path: str, body: Any) -> Answer:
        headers = {"Host": self._host, "Cookie": self._cookie, "Content-Type": "application/json"}
        answer = self._send("POST", quote(path), json.dumps(body).encode(), headers)
        return answer.status, json.loads(answer.read())

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, path, body, headers)
        return connection.getresponse()


def device_asks(node: NodeProcess, token: str, query: str, variables: dict[str, Any], *, through: str = "") -> Answer:
    """What a paired device's GraphQL request is answered, at core's own address or through an app."""
    address = urlsplit(node.address)
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)
    headers = {
        "Host": f"localhost:{address.port}",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"query": query, "variables": variables}).encode()
    connection.request("POST", f"/graphql/{through}" if through else "/graphql", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
