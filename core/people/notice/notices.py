"""Raises and ends notices: nodes of `core/Notice`, one for each condition, so that a condition that stands twice is one notice.

Every few seconds the present conditions are compared with the notices in the directory. A new condition raises its notice; one that
is over for a minute ends it, so that an app that crashes again and again is one notice, not hundreds. Nothing else is remembered: after
a kill at any moment the next start compares again, and neither doubles a notice nor leaves one open.

While the log takes no events, `list` shows what could not be recorded yet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from core.access.caller import CORE
from core.graph.command import Commands, EntityChange
from core.people.notice.condition import NoticeCondition, most_severe
from pcloud.errors import NotFound, PCloudError, Unavailable
from pcloud.subject import Ref
from projections.directory import Directory, Notice

__all__ = ["NoticeBoard", "Source"]

log = logging.getLogger("pcloud.notice")
LOOK_SECONDS = 5.0
OVER_SECONDS = 60.0
KEPT_SECONDS = 30 * 86400
MOST_OPEN = 100
MOST_ENDED = 200

Source = Callable[[], Iterable[NoticeCondition]]
"""Returns the conditions that stand now. It must not block."""


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """`since` and `ended` are times of the monotonic clock; `ended`: 0 while it stands."""

    condition: NoticeCondition
    since: float
    ended: float = 0.0


class NoticeBoard:
    """`watch` names what to ask; `keep` is the loop."""

    def __init__(
        self,
        directory: Directory,
        commands: Commands,
        clock: Callable[[], float] = time.time,
        *,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory, self._commands, self._clock, self._elapsed = directory, commands, clock, elapsed
        self._sources: list[Source] = []
        self._standing: Mapping[str, NoticeCondition] = {}
        self._unrecorded: dict[str, _Unrecorded] = {}
        # By the id of an open notice: since when its condition is over, by the monotonic clock.
        self._over: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._refused = self._unreadable = ""  # what was logged, so that it is logged once

    def watch(self, source: Source) -> None:
        self._sources.append(source)

    # --- what people see and do --------------------------------------------------------------------------------------------------

    def list(self, *, all: bool = False) -> list[Notice]:
        """The open notices, the newest first; with `all` also those that were dismissed or are over."""
        self._look()
        shown = {one.id: self._present(one) for one in self._directory.records.notices.values()}
        shown |= {id: self._notice_of(id, one) for id, one in self._unrecorded.items() if not one.ended}
        found = [one for one in shown.values() if all or not (one.ended or one.dismissed)]
        return sorted(found, key=lambda one: (one.since, one.id), reverse=True)

    async def dismiss(self, id: str) -> Notice:
        """Take a notice off the list until it ends; its condition may last. Raises `NotFound`, `Unavailable`."""
        return await self._set(id, {"dismissedAt": _time(self._clock())}, unless=lambda notice: bool(notice.dismissed))

    async def restore(self, id: str) -> Notice:
        """Undo `dismiss`. Raises `NotFound`."""
        return await self._set(id, {"dismissedAt": None}, unless=lambda notice: not notice.dismissed)

    async def _set(self, id: str, fields: Mapping[str, Any], *, unless: Callable[[Notice], bool]) -> Notice:
        notice = self._directory.records.notices.get(id)
        if notice is None or (notice.ended and id in self._unrecorded):
            if id in self._unrecorded:
                raise Unavailable("this notice can't be dismissed yet: the log accepts no events now")
            raise NotFound(f"there is no notice {id!r}: `pcloud notices` lists them")
        if not unless(notice):
            await self._commands.write(CORE.actor, [EntityChange(_ref(id), "update", set=fields)], urgent=True)
        if (notice := self._directory.records.notices.get(id)) is None:
            raise NotFound(f"the notice {id!r} was deleted meanwhile")
        return notice

    def _notice_of(self, id: str, one: _Unrecorded) -> Notice:
        said = one.condition
        return Notice(id, said.kind, said.about, said.text, said.advice, said.severity, self._at(one.since))

    def _present(self, notice: Notice) -> Notice:
        """The notice with what its condition says now, such as how much room a disk has."""
        now = self._standing.get(notice.id)
        return notice if now is None or notice.ended else replace(notice, text=now.text, advice=now.advice)

    # --- raising and ending ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look soon: something has changed."""
        self._wake.set()

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.settle()
                self._refused = ""
            except PCloudError as error:
                if error.message != self._refused:
                    log.warning("notices can't be recorded now: %s", error)
                self._refused = error.message
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def settle(self) -> None:
        """Look, and record what has changed, in one transaction. Raises `PCloudError` if the log refuses it; the next call repeats it."""
        self._look()
        changes = [*self._raised(), *self._ended(), *self._forgotten()]
        if changes:
            recorded = dict(self._unrecorded)
            # Urgent: a full disk is one of the things to tell.
            await self._commands.write(CORE.actor, changes, urgent=True)
            for id, one in recorded.items():
                if self._unrecorded.get(id) == one:
                    del self._unrecorded[id]

    def _look(self) -> None:
        now = self._elapsed()
        try:
            conditions = [one for source in self._sources for one in source()]
        except Exception as error:
            if repr(error) != self._unreadable:
                log.exception("the conditions of this node can't be read")
            self._unreadable = repr(error)
            return  # nothing is known, so nothing ends
        self._unreadable = ""
        self._standing = most_severe(conditions, MOST_OPEN)
        open_ = {one.id for one in self._directory.records.notices.values() if not one.ended}
        for id, condition in self._standing.items():
            before = self._unrecorded.get(id)
            if id not in open_ and (before is None or before.ended):
                self._unrecorded[id] = _Unrecorded(condition, before.since if before else now)
        for id, one in self._unrecorded.items():
            if id not in self._standing and not one.ended:
                self._unrecorded[id] = replace(one, ended=now)
        gone = open_ - self._standing.keys()
        self._over = {id: self._over.get(id, now) for id in gone}

    def _raised(self) -> Iterable[EntityChange]:
        for id, one in self._unrecorded.items():
            said = one.condition
            fields = {
                "kind": said.kind, "about": said.about, "text": said.text, "advice": said.advice or None, "severity": said.severity,
                "since": _time(self._at(one.since)), "endedAt": _time(self._at(one.ended)) if one.ended else None, "dismissedAt": None,
            }  # fmt: skip
            yield EntityChange(_ref(id), "upsert", set=fields)

    def _ended(self) -> Iterable[EntityChange]:
        now = self._elapsed()
        for id, since in self._over.items():
            if now - since >= OVER_SECONDS:
                yield EntityChange(_ref(id), "update", set={"endedAt": _time(self._at(since))})

    def _at(self, elapsed: float) -> float:
        """What the clock, which may have been set since, calls this time of the monotonic clock."""
        return self._clock() - (self._elapsed() - elapsed)

    def _forgotten(self) -> Iterable[EntityChange]:
        """Delete those that ended long ago, and the oldest of too many."""
        ended = sorted(
            (one for one in self._directory.records.notices.values() if one.ended and one.id not in self._unrecorded),
            key=lambda one: one.ended,
            reverse=True,
        )
        late = self._clock() - KEPT_SECONDS
        return [
            EntityChange(_ref(one.id), "delete")
            for place, one in enumerate(ended)
            if place >= MOST_ENDED or one.ended < late
        ]


def _ref(id: str) -> Ref:
    return Ref.make("core", "Notice", id)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
