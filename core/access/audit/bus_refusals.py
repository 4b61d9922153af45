"""Turns nats-server's refusals into records: only the server's log has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.access.audit.log import ANYONE, Audit
from eventstore.server.denials import follow_denials
from eventstore.server.nats_server_private import Denial

__all__ = ["watch_bus"]

REFUSED = {
    "publish": "may not publish there",
    "reply": "may not have answers sent there",
    "subscribe": "may not listen there",
    "signin": "was not let in",
    "size": "sent a message that is too large",
    "number": "wanted to listen in too many places",
}


class BusServer(Protocol):
    """The part of `eventstore.EmbeddedServer` that this file uses."""

    @property
    def log_path(self) -> object: ...

    @property
    def known_users(self) -> Mapping[str, str]: ...


async def watch_bus(server: BusServer, audit: Audit) -> None:
    """Until cancelled. The actor is the app whose key the connection proved; after a failed sign-in the actor is unknown."""
    async for denials in follow_denials(server.log_path):  # type: ignore[arg-type]
        for denial in denials:
            audit.refused(
                "bus", actor_of(denial, server.known_users), denial.subject, REFUSED[denial.what],
                outcome="REJECTED" if denial.what in ("size", "number") else "FORBIDDEN", at=denial.time, count=denial.count,
            )  # fmt: skip


def actor_of(denial: Denial, users: Mapping[str, str]) -> str:
    if denial.nkey:
        return f"app:{users[denial.nkey]}" if denial.nkey in users else ANYONE
    return denial.user or ANYONE
