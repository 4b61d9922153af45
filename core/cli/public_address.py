"""`--public-url` and `--trusted-proxy`: the cloud behind a reverse proxy that serves it over https."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import typer

from core.settings import DEFAULT_DOMAIN, Network
from pcloud.errors import Rejected

__all__ = ["PublicAddress", "PublicUrl", "TrustedProxy", "read_public_address"]

PublicUrl = Annotated[
    str, typer.Option(help="https://NAME where a reverse proxy serves this cloud; it must serve APP.NAME too.")
]
TrustedProxy = Annotated[
    list[str] | None,
    typer.Option(help="The address, or network, from which that proxy connects; may be given several times."),
]

# Letters, digits and hyphens (RFC 1123), at least two labels; the last one begins with a letter, so it is not an IP address.
NAME = re.compile(r"(?=.{1,200}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class PublicAddress(NamedTuple):
    """`url`: `https://NAME` or `https://NAME:PORT`, or '' without a proxy. `domain`: its name, or else the cloud's domain."""

    url: str
    domain: str
    proxies: tuple[Network, ...] = ()


def read_public_address(url: str, proxies: Sequence[str], domain: str) -> PublicAddress:
    """Read the options, with `--domain`. Raises `Rejected`."""
    if not url and not proxies:
        return PublicAddress("", domain)
    if not url:
        raise Rejected("--trusted-proxy needs --public-url https://NAME, the address that the proxy serves")
    if not proxies:
        raise Rejected("--public-url needs --trusted-proxy ADDRESS, such as 127.0.0.1 for a proxy on this machine")
    name, port = parse_url(url)
    if domain not in (DEFAULT_DOMAIN, name):
        raise Rejected(f"--domain {domain} is another name than that of --public-url {url}: leave --domain out")
    return PublicAddress(f"https://{name}{port}", name, parse_proxies(proxies))


def parse_url(text: str) -> tuple[str, str]:
    """Return name and `:PORT`, which is '' for 443."""
    try:
        parts = urlsplit(text.lower())
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Rejected(f"{text!r} can't be the cloud's public address: {error}") from error
    reason = ""
    if parts.scheme != "https":
        reason = "it must begin with https://"
    elif not NAME.fullmatch(name):
        reason = "apps are at APP.NAME, so it needs a domain name, such as cloud.example.org"
    elif parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        reason = "leave out everything except name and port: the cloud is at the root of its name"
    if reason:
        raise Rejected(f"{text!r} can't be the cloud's public address: {reason}")
    return name, f":{port}" if port not in (None, 443) else ""


def parse_proxies(texts: Sequence[str]) -> tuple[Network, ...]:
    try:
        networks = tuple(ip_network(text.strip("[]")) for text in texts)
    except ValueError as error:
        raise Rejected(
            f"--trusted-proxy needs an address or a network, such as 127.0.0.1 or 10.0.0.0/24: {error}"
        ) from error
    if any(network.prefixlen == 0 for network in networks):
        raise Rejected(
            "--trusted-proxy can't be every address: name the proxy's own, or each client could claim another one's"
        )
    return networks
