"""One app's listeners for outside hosts inside its sandbox, and what core does with each connection there.

    app ── 127.1.0.1:465 (smtp.example.org in its /etc/hosts) ──┐
    app ── 127.0.0.1:4281 (the proxy of HTTPS_PROXY) ───────────┴─ core: the current grants → name resolved once → that address

The grants are read at each connection, after it is listed among the open ones: a withdrawal either refuses it or
cuts it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from core.access.audit import Audit
from core.apps.egress.decide import Destination, exact_names, needs_proxy, permit
from core.apps.egress.dial import Outside, dial
from core.apps.egress.flows import Flow, Flows, Tally
from core.apps.egress.proxy_request import ProxyRequest, read_request
from core.apps.sandbox.accept import accept_each, carry
from core.apps.sandbox.loopback import LOOPBACK, Listen, Opening, host_address
from pcloud.errors import Forbidden, PCloudError
from projections.directory import Grant

__all__ = ["PROXY_PORT", "Doors", "Egress"]

log = logging.getLogger("pcloud.egress")
PROXY_PORT = 4281
# Longer than the silence of IMAP's IDLE, up to 29 minutes (RFC 2177).
IDLE_SECONDS = 40 * 60.0
Granted = Callable[[], Sequence[Grant]]


@dataclass(frozen=True, slots=True)
class Doors:
    """`hosts`: addresses by name, for /etc/hosts. `environment`: variables that point programs to the proxy."""

    openings: tuple[Opening, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class Egress:
    """Egress of all apps on this node. `close()` it when core stops."""

    def __init__(self, outside: Outside | None = None, audit: Audit | None = None):
        self._outside = outside or Outside()
        self._audit = audit
        self._flows = Flows(self._noted)

    def close(self) -> None:
        self._flows.close()

    def total(self, app: str) -> Tally:
        """Return an app's traffic since core's start."""
        return replace(self._flows.totals.get(app, Tally()))

    def doors(self, app: str, granted: Granted, beside: Sequence[str] = ()) -> Doors:
        """Prepare the listeners for a start of the app. `granted`: its current grants, read at each connection.
        `beside`: hosts that need no proxy."""
        grants = granted()
        names = exact_names(grants)
        hosts = {name: host_address(number) for number, name in enumerate(dict.fromkeys(to.host for to in names))}
        openings = [
            Opening(hosts[to.host], to.port, self._serve(partial(self._direct, app, granted, to))) for to in names
        ]
        if not needs_proxy(grants):
            return Doors(tuple(openings), hosts)
        openings.append(Opening(LOOPBACK, PROXY_PORT, self._serve(partial(self._proxied, app, granted))))
        return Doors(tuple(openings), hosts, proxy_variables([*hosts, *beside]))

    def recheck(self, granted: Callable[[str], Sequence[Grant]]) -> None:
        """Cut the connections that the current grants, by app, do not allow."""

        def allowed(flow: Flow) -> bool:
            try:
                return bool(permit(granted(flow.app), flow.host, flow.port))
            except Forbidden:
                return False

        self._flows.cut(allowed)

    # --- within -------------------------------------------------------------------------------------------------------

    def _serve(self, one: Callable[[socket.socket], Awaitable[None]]) -> Listen:
        return lambda listener, of_app: accept_each(listener, one, of_app)

    async def _direct(self, app: str, granted: Granted, to: Destination, connection: socket.socket) -> None:
        await self._through(app, granted, ProxyRequest(to.host, to.port, no=lambda error: b""), connection)

    async def _proxied(self, app: str, granted: Granted, connection: socket.socket) -> None:
        try:
            request = await read_request(connection)
        except PCloudError as error:
            self._refused(app, "proxy", error)
            raise
        await self._through(app, granted, request, connection)

    async def _through(self, app: str, granted: Granted, request: ProxyRequest, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            with self._flows.open(app, request.host, request.port) as flow:
                other = await dial(permit(granted(), flow.host, flow.port), self._outside)
                with other:
                    await self._carry(flow, request, connection, other)
        except PCloudError as error:
            self._refused(app, f"{request.host}:{request.port}", error)
            await loop.sock_sendall(connection, request.no(error))
            raise

    async def _carry(self, flow: Flow, request: ProxyRequest, connection: socket.socket, other: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._flows.passed(flow, len(request.first), 0)
        async with asyncio.timeout(IDLE_SECONDS) as idle:

            def passed(sent: int, received: int) -> None:
                self._flows.passed(flow, sent, received)
                idle.reschedule(loop.time() + IDLE_SECONDS)

            await loop.sock_sendall(connection, request.yes)
            await loop.sock_sendall(other, request.first)
            await carry(connection, other, passed)

    def _refused(self, app: str, target: str, error: PCloudError) -> None:
        log.debug("%s: %s", app, error)
        if self._audit is not None:
            self._audit.refused("network", f"app:{app}", target, error.message, outcome=error.code)

    def _noted(self, record: Mapping[str, Any]) -> None:
        if self._audit is not None:
            self._audit.noted(record)


def proxy_variables(beside: Sequence[str]) -> dict[str, str]:
    """Both spellings of each variable, because programs differ in which they read. Node.js reads them if NODE_USE_ENV_PROXY is set."""
    http, socks = f"http://{LOOPBACK}:{PROXY_PORT}", f"socks5h://{LOOPBACK}:{PROXY_PORT}"
    around = ",".join(["localhost", LOOPBACK, "::1", "127.0.0.0/8", *beside])
    values = {"HTTP_PROXY": http, "HTTPS_PROXY": http, "ALL_PROXY": socks, "NO_PROXY": around}
    return {**values, **{name.lower(): value for name, value in values.items()}, "NODE_USE_ENV_PROXY": "1"}
