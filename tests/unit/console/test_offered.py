"""Which parts of the administration a browser may use is a decision about each route."""

from __future__ import annotations

from typing import Any

from core.front.admin import admin_application
from core.front.console.console import OFFERED

# Reading needs the session alone: a link on another page opens these where browsers do not say where a request comes from.
READING = {"/apps", "/apps/{name}", "/apps/{name}/logs", "/devices", "/status"}


def test_console_offers_a_browser_only_these_routes_to_read() -> None:
    node: Any = object()  # the routes ask it nothing before a request
    routes = ((one.method, one.resource.canonical) for one in admin_application(node).router.routes() if one.resource)
    offered = {path for method, path in routes if method == "GET" and path.split("/")[1] in OFFERED}
    assert offered == READING
