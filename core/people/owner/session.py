"""Browser sessions: one sign-in is one session, on core's origin and on those of all apps.

A session is a node of core's own type `Session`, so whether it runs is the same on every node. The log gets an event when one begins, when
it is ended, and at most once an hour with the times at which sessions were last used; what was used since then is the memory of this
process, which shows it and decides nothing by it. What is over is deleted when the next session begins.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from core.access.caller import OWNER
from core.graph.command import Commands, NodeChange
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
# A link's code that was used says so as long as it could be tried again, with a good margin.
KEPT_SECONDS = 86400
MOST_SWEPT = 500
PERSON = OWNER.name


class Sessions:
    """Of the people of this cloud; the maker closes what it is given."""

    def __init__(self, directory: Directory, commands: Commands, clock: Callable[[], float] = time.time):
        self._directory, self._commands, self._clock = directory, commands, clock
        self._used: dict[str, float] = {}

    @property
    def credential(self) -> str:
        """The name of the credential that sessions go back to which begin now."""
        person = self._directory.records.owners.get(PERSON)
        return person.credential if person is not None else ""

    def running(self, id: str) -> Session | None:
        """The session, if it has not ended."""
        return self._directory.session(id, self._clock())

    def use(self, id: str) -> Session | None:
        """The session of a request that has just come, if it has not ended."""
        if (session := self.running(id)) is not None:
            self._used[id] = self._clock()
        return session

    def list(self) -> list[Session]:
        """All that run, the newest first."""
        running = [session for id in self._directory.records.sessions if (session := self.running(id)) is not None]
        return sorted(running, key=lambda session: session.created, reverse=True)

    def seen(self, session: Session) -> float:
        """When it was last used, as far as this node knows."""
        return max(session.seen, self._used.get(session.id, 0.0))

    # --- beginning and ending ----------------------------------------------------------------------------------------------------

    async def begin(
        self, agent: str, credential: str, id: str = "", *, replacing: Sequence[str] = ()
    ) -> Session | None:
        """Of a browser that calls itself `agent`, in place of those `replacing`; None if a session with this `id` was begun before, or
        the credential is another one by now. Where there are too many, the one that was unused for longest ends."""
        id, now, (browser, device) = id or new_id(), self._clock(), described(agent)
        fields = {
            "person": PERSON, "credential": credential, "browser": browser, "device": device,
            "createdAt": _time(now), "seenAt": _time(now), "expiresAt": _time(now + SESSION_SECONDS),
        }  # fmt: skip
        begun = NodeChange(_ref(id), "add", set=fields, must_not_exist=True)
        try:
            ended = dict.fromkeys([*replacing, *self._surplus()])
            await self._write([begun, *self._ended(ended, now), *self._over(now)])
        except Conflict:
            if id in self._directory.records.sessions:
                return None
            raise
        return self.running(id)

    async def end(self, id: str) -> None:
        """At once, on all origins; raises `NotFound` for one that does not run."""
        if self.running(id) is None:
            raise NotFound(f"no session that runs has the id {id!r}: see `pcloud owner sessions`")
        await self._write(self._ended([id], self._clock()))

    async def end_all(self, but: str = "") -> int:
        """All, or all `but` one; returns how many that were."""
        ids = [session.id for session in self.list() if session.id != but]
        if ids:
            await self._write(self._ended(ids, self._clock()))
        return len(ids)

    async def _write(self, changes: list[NodeChange]) -> None:
        # Urgent: who ends a session has a reason, and who signs in may be the one to make room.
        await self._commands.write(OWNER.actor, changes, urgent=True)

    def _ended(self, ids: Iterable[str], now: float) -> list[NodeChange]:
        return [NodeChange(_ref(id), "update", set={"endedAt": _time(now)}) for id in ids]

    def _surplus(self) -> list[str]:
        by_use = sorted(self.list(), key=self.seen, reverse=True)
        return [session.id for session in by_use[MOST - 1 :]]

    def _over(self, now: float) -> list[NodeChange]:
        """Delete those that ended long ago."""
        over = [
            NodeChange(_ref(one.id), "delete")
            for one in self._directory.records.sessions.values()
            if (one.ended or one.expires) < now - KEPT_SECONDS
        ]
        return over[:MOST_SWEPT]

    # --- last used ---------------------------------------------------------------------------------------------------------------

    async def keep(self, look: Callable[[], Any]) -> None:
        """Until cancelled: call `look` now and then, as sessions end with their time too, and write down when they were last used."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            look()
            try:
                await self.write_seen()
            except PCloudError as error:
                log.warning("when sessions were last used is not written down: %s", error.message)

    async def write_seen(self) -> None:
        """Of all that were used since it was last written, when that is an hour old for one of them."""
        used = self._used = {id: at for id, at in self._used.items() if self.running(id) is not None}
        records = self._directory.records.sessions
        if all(at < records[id].seen + SEEN_SECONDS for id, at in used.items()):
            return
        changes = [NodeChange(_ref(id), "update", set={"seenAt": _time(at)}) for id, at in used.items()]
        await self._commands.write(OWNER.actor, changes)
        self._used = {id: at for id, at in self._used.items() if used.get(id) != at}


def _ref(id: str) -> Ref:
    return Ref.make("core", "Session", id)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
