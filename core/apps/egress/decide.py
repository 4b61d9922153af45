"""Which hosts an app may reach, by name: pure decisions over its current grants, without state, resolving or dialling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pcloud.errors import Forbidden, Rejected
from pcloud.network import Network, is_home, parse_network
from projections.directory import Grant

__all__ = ["Destination", "exact_names", "needs_proxy", "permit"]


class Destination(NamedTuple):
    """`home`: a machine in the owner's home, approved by its name; it may have a private address."""

    host: str
    port: int
    home: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def permit(grants: Sequence[Grant], host: str, port: int) -> Destination:
    """Return the destination that the approved grants allow; raises `Forbidden`. `host`: as `check_host` returns it."""
    home = is_home(host)
    # The review shows a machine of the home only where a grant names it.
    if not any(network.holds(host, port) and not (home and network.below) for network in _approved(grants)):
        asked = sorted(grant.target for grant in grants if grant.verb == "network" and grant.approved)
        raise Forbidden(f"{host}:{port} was not granted (granted: {', '.join(asked) or 'nothing'})")
    return Destination(host, port, home)


def exact_names(grants: Sequence[Grant]) -> list[Destination]:
    """Return the hosts and ports that are granted by name, sorted."""
    return sorted({Destination(one.host, one.port, is_home(one.host)) for one in _approved(grants) if not one.below})


def needs_proxy(grants: Sequence[Grant]) -> bool:
    """Return True if more is granted than names that a hosts file can list."""
    return any(network.below for network in _approved(grants))


def _approved(grants: Sequence[Grant]) -> Iterator[Network]:
    """Skips grants of the machine's network from an earlier version: they allow nothing."""
    for grant in grants:
        if grant.verb == "network" and grant.approved:
            try:
                yield parse_network(grant.target)
            except Rejected:
                continue
