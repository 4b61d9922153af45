"""Dials a destination: resolves its name once and connects to one of the permitted addresses of that answer.

The name is not resolved a second time, so a name whose answer changes in between gains nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.apps.egress.address import own_interfaces, refusal
from core.apps.egress.decide import Destination
from pcloud.errors import Forbidden, Unavailable

__all__ = ["Outside", "dial", "system_refusal", "system_resolve"]

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 10.0
# Number of addresses tried per name; each may take a while to fail.
MOST_TRIED = 3


async def system_resolve(host: str) -> Sequence[str]:
    """Return a name's addresses from this machine's resolver, best first; raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def system_refusal(address: str, home: bool) -> str:
    return refusal(address, own_interfaces(), home=home)


@dataclass(frozen=True, slots=True)
class Outside:
    """The network as core sees it. `resolve`: a name's addresses. `refusal`: why an address is not dialled, '' if it
    is; receives whether a machine of the home was approved."""

    resolve: Callable[[str], Awaitable[Sequence[str]]] = system_resolve
    refusal: Callable[[str, bool], str] = system_refusal


async def dial(to: Destination, outside: Outside) -> socket.socket:
    """Return a connection; raises `Forbidden` if every address of the name is refused, `Unavailable` if none answers."""
    addresses = await _resolved(to, outside)
    refusals = {address: outside.refusal(address, to.home) for address in addresses}
    allowed = [address for address, why in refusals.items() if not why]
    if not allowed:
        told = "; ".join(f"{address} is {why}" for address, why in list(refusals.items())[:MOST_TRIED])
        raise Forbidden(f"{to} is not dialled: {told}")
    problem = ""
    for address in allowed[:MOST_TRIED]:
        try:
            return await _connect(address, to.port)
        except OSError as error:
            problem = f"{address}: {os.strerror(error.errno) if error.errno else 'no answer'}"
    raise Unavailable(f"{to} was not reached ({problem})")


async def _resolved(to: Destination, outside: Outside) -> Sequence[str]:
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            addresses = await outside.resolve(to.host)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Unavailable(
            f"the name {to.host} has no address here: {getattr(error, 'strerror', '') or 'no answer'}"
        ) from error
    if not addresses:
        raise Unavailable(f"the name {to.host} has no address here")
    return addresses


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection
