"""Remembers whose a token is for as long as nothing of core's own has changed since: each request brings its token.

Owner, devices and their revocation are core's own events, so whatever takes a right away empties this before anyone is told that it is
gone. Tokens that nobody has are not remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from core.caller import Caller
from pcloud.errors import Unavailable
from pcloud.event import StoredEvent

__all__ = ["Recognised"]

MOST = 1_000
ATTEMPTS = 10
Authenticate = Callable[[str], Awaitable[Caller | None]]


class Folded(Protocol):
    """The part of the loop that folds core's own events."""

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None], /) -> Callable[[], None]: ...


class Recognised:
    """`authenticate`: finds out in the view. Whoever makes it calls `close()` before the loop ends."""

    def __init__(self, loop: Folded, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._known: dict[bytes, Caller] = {}
        self._changes = 0
        self.close = loop.on_applied(self._applied)

    async def caller(self, token: str) -> Caller | None:
        """Whose it is by now: what was read before a change that came meanwhile is read again, since who has just been put out is looked
        for among the open connections only once. Raises `Unavailable` when changes never end."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        if (known := self._known.get(digest)) is not None:
            return known
        for _ in range(ATTEMPTS):
            before = self._changes
            found = await self._authenticate(token)
            if before == self._changes:
                if found is not None:
                    self._remember(digest, found)
                return found
        raise Unavailable("who may ask is being changed all the time: try again in a moment")

    def _remember(self, digest: bytes, caller: Caller) -> None:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest] = caller

    def _applied(self, events: Sequence[StoredEvent]) -> None:
        if any(event.ref.app == "core" for event in events):
            self._changes += 1
            self._known.clear()
