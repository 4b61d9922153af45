"""Core's web address as seen by a page of an app, and by a device."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.node_process import NodeProcess

__all__ = ["Page", "device_asks"]

Answer = tuple[int, Any]


class Page:
    """The rights of scripts on the page of `app` in the browser of the owner, who is signed in there."""

    def __init__(self, node: NodeProcess, app: str) -> None:
        port = urlsplit(node.address).port
        self._port, self._host, own = port, f"{app}.localhost:{port}", f"localhost:{port}"
        self._cookies: dict[str, dict[str, str]] = {own: {}, self._host: {}}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self._visit("POST", own, "/signin", urlencode({"token": node.token}).encode(), form)
        # To the app's page without a session: to core's origin, which knows the browser, and back with a code.
        host, path = self._host, "/"
        while "/_pcloud/signin" not in path:
            onward = self._visit("GET", host, path, None, {"Accept": "text/html"}).headers["Location"]
            host, path = urlsplit(onward).netloc or host, onward.partition(urlsplit(onward).netloc)[2]
        self._visit("GET", host, path, None, {})

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        return self.post("/_pcloud/graphql", {"query": query, "variables": variables or {}})

    def call(self, target: str, **args: Any) -> Answer:
        """Call an action as scripts do: with the owner's session, on the page's own origin."""
        app, _, action = target.rpartition("/")
        query = "mutation($app: String!, $action: String!, $args: JSON) { callAction(app: $app, action: $action, args: $args) }"
        return self.graphql(query, {"app": app, "action": action, "args": args})

    def ask_server(self, path: str, body: Any, *, visitor: str = "pass") -> dict[str, Any]:
        """Let the app's own web server ask its gateway: for the visitor whom core names, without a visitor (`drop`), or
        for the one that `visitor` makes up. `status`, `body`, and `visitor`: core's statement about the visitor."""
        return self.post("/do", {"path": path, "body": body, "visitor": visitor})[1]

    def post(self, path: str, body: Any) -> Answer:
        kind = {"Content-Type": "application/json"}
        answer = self._visit("POST", self._host, quote(path), json.dumps(body).encode(), kind)
        return answer.status, json.loads(answer.read())

    def _visit(
        self, method: str, host: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        """With the cookies that this host has set, and keeping those that it sets now."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies[host].items())
        connection.request(method, path, body, {"Host": host, "Cookie": cookies, **headers})
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[host][name] = value
        return answer


def device_asks(node: NodeProcess, token: str, query: str, variables: dict[str, Any], *, through: str = "") -> Answer:
    """The answer to a paired device's GraphQL request, at core's own address or through an app."""
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
