"""Which origin a request is for: core's own, or an app's, at one of the cloud's domains."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from core.settings import DEFAULT_DOMAIN
from pcloud.errors import Rejected

__all__ = ["Domains", "acts", "from_elsewhere", "origin_of", "own_domains", "port_of", "same_origin", "wants_page"]

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Nothing else: a browser reads `evil\.localhost` as the host `evil`.
HOST = re.compile(r"(?P<name>\[::1\]|[a-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains of this cloud: core is at each, and an app at `<app>.<domain>`. `first`: the domain of links on pages that
    were requested at an IP address. `unguessable`: a domain that other programs on this machine don't know unless an app
    tells them, or ''. A browser sends its `localhost` cookies to each port there, so to any program that it is led to;
    the cookies of a secret name reach core alone. `public`: `https://` with `first`, and a port if it is not 443, where
    a reverse proxy serves the cloud; '' without one."""

    first: str
    unguessable: str = ""
    public: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.first, self.unguessable) if self.unguessable else (self.first,)

    def app_of(self, host: str) -> str | None:
        """Return the app whose origin `host` (with or without port) is; '' for core's own; None for an unknown host.

        Unknown hosts are refused, which also stops DNS rebinding: a foreign name that resolves to this machine is
        not an origin of ours.
        """
        found = _place(host, self.names)
        return None if found is None else found[0]

    def of(self, host: str) -> str:
        """Return the domain that `host` belongs to."""
        found = _place(host, self.names)
        return self.first if found is None else found[1]

    def check(self, request: web.BaseRequest) -> None:
        """Raises `Rejected` for a request to the public name that did not come over https, or to another name that did."""
        if not self.public:
            return
        own = request.host.lower().removesuffix(f":{port_of(request.host)}") in OWN_NAMES
        if own and (request.secure or request.headers.get("Origin") == self.public):
            raise Rejected(f"the reverse proxy of {self.public} must pass on the `Host` that the browser sends")
        if own or request.secure:
            return
        raise Rejected(
            f"this cloud is at {self.public}, over https alone. If you run its reverse proxy: it must send `X-Forwarded-Proto: https`, "
            "from an address that --trusted-proxy names"
        )

    def shared_site(self, host: str) -> bool:
        """Return True if browsers treat the apps' hosts beside `host` as one site. They do not for hosts below a name
        without a dot, such as localhost."""
        return "." in self.of(host)

    def public_address(self, app: str = "") -> str:
        """The address of `app`, '' for core's, at the public name, without a slash at its end; '' without a public name."""
        return self.public.replace("https://", f"https://{app}." if app else "https://")

    def address(self, request: web.Request, app: str = "") -> str:
        """The front page of `app`, '' for core's, at the domain of the request, or the public one."""
        if self.public:
            return f"{self.public_address(app)}/"
        # A host that is not ours says nothing about our port.
        known = self.app_of(request.host) is not None
        port = port_of(request.host) if known else str((request.get_extra_info("sockname") or ("", ""))[1])
        return f"{request.scheme}://{app and f'{app}.'}{self.of(request.host)}{port and f':{port}'}/"


def own_domains(domain: str, key: bytes | None, public: str = "") -> Domains:
    """Return `domain` and, if that is localhost, a domain below it with 80 of the random bits of `key`. Without a key
    there is no unguessable domain."""
    if key is None or domain != DEFAULT_DOMAIN:
        return Domains(domain, public=public)
    return Domains(domain, f"cloud-{base64.b32encode(key)[:16].decode().lower()}.{domain}")


@lru_cache(256)
def _place(host: str, domains: tuple[str, ...]) -> tuple[str, str] | None:
    """Return app and domain of a host."""
    parts = HOST.fullmatch(host.lower())
    if parts is None or int(parts["port"] or 0) > 65535:
        return None
    name = parts["name"]
    if name in OWN_NAMES or name in domains:
        return "", name if name in domains else domains[0]
    app, _, rest = name.partition(".")
    return (app, rest) if app and rest in domains else None


def port_of(host: str) -> str:
    """Return the port that `host` names; '' for the scheme's default."""
    return host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""


def origin_of(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def acts(request: web.Request) -> bool:
    """Return True if a request does more than fetch: it changes something, or opens a websocket, over which anything may be asked."""
    return request.method not in ("GET", "HEAD") or "Upgrade" in request.headers


def wants_page(request: web.BaseRequest) -> bool:
    """Return True for a browser that opens an address and shows what it gets."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def same_origin(request: web.Request) -> bool:
    """Return True if a browser's request comes from a page of the origin that it is sent to. Clients other than
    browsers do not say.

    A websocket must say it: browsers always do, and they apply no other rule to its messages.
    """
    origins = request.headers.getall("Origin", [])
    if not origins:
        return (
            request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin" and "Upgrade" not in request.headers
        )
    return set(origins) == {origin_of(request)}


def from_elsewhere(request: web.Request) -> bool:
    """Return True if a page of another origin makes this request, except by leading the whole window here.

    Fetch metadata: https://www.w3.org/TR/fetch-metadata/. Other clients send none, nor do browsers to plain http
    beyond this machine.
    """
    if request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
        return False
    visit = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.headers.get("Sec-Fetch-Dest") == "document"
    return not (visit and request.method in ("GET", "HEAD"))
