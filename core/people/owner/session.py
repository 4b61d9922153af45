"""Browser sessions: one sign-in is one session, on core's origin and on those of all apps.

A session is a node of core's own type `Session`, so its state is the same on every node. The log gets an event when
a session begins, when it is ended, and at most once an hour with the times at which sessions were last used. Later
use is in this process's memory, for display only. Ended sessions are deleted when the next one begins.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from core.access.caller import OWNER
from core.graph.command import Commands, EntityChange
from core.people.owner.browser import described
from pcloud.errors import Conflict, NotFound, PCloudError
from pcloud.subject import Ref, new_id
from projections.directory import Directory, Session

__all__ = ["SESSION_SECONDS", "Sessions"]

log = logging.getLogger("pcloud.owner")
SESSION_SECONDS = 30 * 86400
MOST = 100
SEEN_SECONDS = 3600.0
LOOK_SECONDS = 60.0
# A used link's code is remembered as long as it could be tried again, with a good margin.
KEPT_SECONDS = 86400
MOST_SWEPT = 500
PERSON = OWNER.name


class Sessions:
    """The sessions of this cloud's people. The maker closes the objects passed in."""

    def __init__(self, directory: Directory, commands: Commands, clock: Callable[[], float] = time.time):
        self._directory, self._commands, self._clock = directory, commands, clock
        self._used: dict[str, float] = {}

    @property
    def credential(self) -> str:
        """The name of the credential under which new sessions begin."""
        person = self._directory.records.owners.get(PERSON)
        return person.credential if person is not None else ""

    def running(self, id: str) -> Session | None:
        """Return the session, if it has not ended."""
        return self._directory.session(id, self._clock())

    def use(self, id: str) -> Session | None:
        """Return the session of a request that has just arrived, if it has not ended, and note its use."""
        if (session := self.running(id)) is not None:
            self._used[id] = self._clock()
        return session

    def list(self) -> list[Session]:
        """All running sessions, the newest first."""
        running = [session for id in self._directory.records.sessions if (session := self.running(id)) is not None]
        return sorted(running, key=lambda session: session.created, reverse=True)

    def seen(self, session: Session) -> float:
        """When it was last used, as far as this node knows."""
        return max(session.seen, self._used.get(session.id, 0.0))

    # --- beginning and ending ----------------------------------------------------------------------------------------------------

    async def begin(
        self, agent: str, credential: str, id: str = "", *, replacing: Sequence[str] = ()
    ) -> Session | None:
        """Begin a session of a browser with the user agent `agent`, in place of those `replacing`.

        Returns None if a session with this `id` was begun before, or the credential has changed since. If there are
        too many, the one that was unused for longest ends.
        """
        id, now, (browser, device) = id or new_id(), self._clock(), described(agent)
        fields = {
            "person": PERSON, "credential": credential, "browser": browser, "device": device,
            "createdAt": _time(now), "seenAt": _time(now), "expiresAt": _time(now + SESSION_SECONDS),
        }  # fmt: skip
        begun = EntityChange(_ref(id), "add", set=fields, must_not_exist=True)
        try:
            ended = dict.fromkeys([*replacing, *self._surplus()])
            await self._write([begun, *self._ended(ended, now), *self._over(now)])
        except Conflict:
            if id in self._directory.records.sessions:
                return None
            raise
        return self.running(id)

    async def end(self, id: str) -> None:
        """End a session at once, on all origins; raises `NotFound` if it is not running."""
        if self.running(id) is None:
            raise NotFound(f"no running session has the id {id!r}: see `pcloud owner sessions`")
        await self._write(self._ended([id], self._clock()))

    async def end_all(self, but: str = "") -> int:
        """End all sessions, or all `but` one; returns their number."""
        ids = [session.id for session in self.list() if session.id != but]
        if ids:
            await self._write(self._ended(ids, self._clock()))
        return len(ids)

    async def _write(self, changes: list[EntityChange]) -> None:
        # Urgent: a person who ends a session has a reason, and a person who signs in may be the one to make room.
        await self._commands.write(OWNER.actor, changes, urgent=True)

    def _ended(self, ids: Iterable[str], now: float) -> list[EntityChange]:
        return [EntityChange(_ref(id), "update", set={"endedAt": _time(now)}) for id in ids]

    def _surplus(self) -> list[str]:
        by_use = sorted(self.list(), key=self.seen, reverse=True)
        return [session.id for session in by_use[MOST - 1 :]]

    def _over(self, now: float) -> list[EntityChange]:
        """Delete those that ended long ago."""
        over = [
            EntityChange(_ref(one.id), "delete")
            for one in self._directory.records.sessions.values()
            if (one.ended or one.expires) < now - KEPT_SECONDS
        ]
        return over[:MOST_SWEPT]

    # --- last used ---------------------------------------------------------------------------------------------------------------

    async def keep(self, look: Callable[[], Any]) -> None:
        """Run until cancelled: call `look` at intervals, because sessions also expire, and record when they were last used."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            look()
            try:
                await self.write_seen()
            except PCloudError as error:
                log.warning("the times at which sessions were last used can't be recorded: %s", error.message)

    async def write_seen(self) -> None:
        """Record the last use of all sessions used since the last record, if that is an hour old for one of them."""
        used = self._used = {id: at for id, at in self._used.items() if self.running(id) is not None}
        records = self._directory.records.sessions
        if all(at < records[id].seen + SEEN_SECONDS for id, at in used.items()):
            return
        changes = [EntityChange(_ref(id), "update", set={"seenAt": _time(at)}) for id, at in used.items()]
        await self._commands.write(OWNER.actor, changes)
        self._used = {id: at for id, at in self._used.items() if used.get(id) != at}


def _ref(id: str) -> Ref:
    return Ref.make("core", "Session", id)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
