"""Which origin a request is for: core's own, or an app's."""

from __future__ import annotations

import re

from aiohttp import web

__all__ = ["app_of", "origin_of", "port_of", "same_origin"]

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Nothing else: a browser reads `evil\.localhost` as the host `evil`.
HOST = re.compile(r"(?P<name>\[::1\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


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


def same_origin(request: web.Request) -> bool:
    """Whether a browser's request comes from a page of the origin that it is sent to. Other clients send no Origin."""
    origin = request.headers.get("Origin")
    return origin is None or origin == origin_of(request)
