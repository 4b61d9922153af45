"""What a reverse proxy says about a request that it passes on: the client's address, and the scheme that the client used.

Only proxies at addresses that the owner names are believed; from any other address these headers mean nothing. nginx, Caddy, Traefik
and Apache can send them: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For. A proxy must pass on `Host` as it
is: many pass on a client's `X-Forwarded-Host` unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypedDict

from multidict import CIMultiDict, CIMultiDictProxy

from core.settings import Network

__all__ = ["Forwarded", "TrustedProxies"]


class Forwarded(TypedDict, total=False):
    """What is known of a request instead of what its connection says."""

    scheme: str
    remote: str


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """`networks`: where the proxies connect from."""

    networks: Sequence[Network] = ()

    def forwarded(self, peer: str, headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> Forwarded:
        """Return what a request from the address `peer` says; nothing if that is not a proxy."""
        if not self._trusts(peer):
            return {}
        told = Forwarded(remote=self._client(peer, entries(headers, "X-Forwarded-For")))
        # Several proxies in a row each add theirs: the last one is what the proxy itself has seen.
        if (scheme := entries(headers, "X-Forwarded-Proto")[-1:]) and scheme[0] in ("http", "https"):
            told["scheme"] = scheme[0]
        return told

    def _client(self, peer: str, chain: list[str]) -> str:
        """Return the last address of the chain that is not a proxy's: what stands before it may be made up."""
        client = peer
        while self._trusts(client) and chain and address_of(chain[-1]) is not None:
            client = str(address_of(chain.pop()))
        return client

    def _trusts(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in self.networks)


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    if text.startswith("["):  # some proxies add the port
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    with suppress(ValueError):
        address = ip_address(text)
        return getattr(address, "ipv4_mapped", None) or address
    return None


def entries(headers: CIMultiDictProxy[str] | CIMultiDict[str], name: str) -> list[str]:
    return [entry.strip() for value in headers.getall(name, ()) for entry in value.split(",") if entry.strip()]
