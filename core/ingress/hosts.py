"""Which origin a request is for: core's own, or an app's."""

from __future__ import annotations

import re
from functools import lru_cache

from aiohttp import web

__all__ = ["acts", "app_of", "from_elsewhere", "origin_of", "port_of", "same_origin"]

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Nothing else: a browser reads `evil\.localhost` as the host `evil`.
HOST = re.compile(r"(?P<name>\[::1\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


@lru_cache(256)
def app_of(host: str, domain: str) -> str | None:
    """The app whose origin `host` (with or without port) is; '' for core's own; None for a host that is nobody's.

    Hosts that are not ours are refused, which also stops DNS rebinding: a foreign name that resolves to this machine is no origin of ours.
    """
    parts = HOST.fullmatch(host.lower())
    if parts is None:
        return None
    name = parts["name"]
    if name in OWN_NAMES or name == domain:
        return ""
    app, dot, rest = name.partition(".")
    return app if app and dot and rest == domain else None


def port_of(host: str) -> str:
    """The port that `host` names; '' for the scheme's own."""
    return host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""


def origin_of(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def acts(request: web.Request) -> bool:
    """Whether a request does more than fetch: it changes something, or opens a websocket, over which anything may be asked."""
    return request.method not in ("GET", "HEAD") or "Upgrade" in request.headers


def same_origin(request: web.Request) -> bool:
    """Whether a browser's request comes from a page of the origin that it is sent to. Clients that are no browsers say nothing of it.

    A websocket must say it: browsers always do, and its messages are bound by no other rule of theirs.
    """
    origins = request.headers.getall("Origin", [])
    if not origins:
        return (
            request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin" and "Upgrade" not in request.headers
        )
    return set(origins) == {origin_of(request)}


def from_elsewhere(request: web.Request) -> bool:
    """Whether a page of another origin makes this request, and not by leading the visitor here in the whole window.

    Fetch metadata: https://www.w3.org/TR/fetch-metadata/. Other clients send none, nor do browsers to plain http beyond this machine.
    """
    if request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
        return False
    visit = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.headers.get("Sec-Fetch-Dest") == "document"
    return not (visit and request.method in ("GET", "HEAD"))
