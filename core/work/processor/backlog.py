"""Counts the work that has no run yet: durable calls that core has not taken on, and objects that the object storage has not announced.

The runs alone would say that a few hundred wait where it is thousands, because core takes on only as much as it can do.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.access.caller import CORE, RunContext
from core.work.call import Calls, HandlerFailed, RoleAction
from core.work.call.run_ids import call_run_id
from eventstore import EventStore
from pcloud.errors import NotFound, PCloudError

__all__ = ["Backlog", "Waiting"]

log = logging.getLogger(__name__)
STORAGE = RoleAction("object-storage", "waiting")
PATIENCE = 2.0
EVERY = 2.0  # seconds from an answer to the next question, however many ask


@dataclass(frozen=True, slots=True)
class Waiting:
    """By app: its durable calls in the queue, and objects in its buckets of which its webhook does not know yet. `unknown`: what could
    not be counted now, `calls` or `objects`."""

    calls: Mapping[str, int] = field(default_factory=dict[str, int])
    objects: Mapping[str, int] = field(default_factory=dict[str, int])
    unknown: tuple[str, ...] = ()

    def told(self, app: str | None = None) -> dict[str, Any]:
        """For one app, or for all of them."""
        counts = {"calls": self.calls, "objects": self.objects}
        return {
            name: None if name in self.unknown else sum(n for one, n in found.items() if app in (None, one))
            for name, found in counts.items()
        }


class Backlog:
    """Asked often by pages: the answer is a few seconds old at most."""

    def __init__(self, store: EventStore, calls: Calls, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._calls, self._clock = store, calls, clock
        self._known, self._again = Waiting(), -math.inf
        self._asking = asyncio.Lock()

    async def waiting(self) -> Waiting:
        async with self._asking:
            if self._clock() >= self._again:
                calls, objects = await asyncio.gather(self._count_calls(), self._count_objects())
                counted = {"calls": calls, "objects": objects}
                unknown = tuple(name for name, found in counted.items() if found is None)
                self._known = Waiting(calls or {}, objects or {}, unknown)
                self._again = self._clock() + EVERY
            return self._known

    async def _count_calls(self) -> Mapping[str, int] | None:
        try:
            found = await self._store.report_consumers("WORK", patience=PATIENCE)
        except (PCloudError, TimeoutError) as error:
            log.debug("the durable calls can't be counted: %s", error)
            return None
        return {one.about.get("pcloud_app", ""): one.pending for one in found}

    async def _count_objects(self) -> Mapping[str, int] | None:
        """Not audited, unlike calls that do something."""
        try:
            name = self._calls.authorization.resolve(CORE, STORAGE)
        except NotFound:  # no app stores objects
            return {}
        try:
            context = RunContext(call_run_id(f"waiting {name}"))
            answer = await self._calls.invoker.invoke(CORE, name, {}, context, timeout=PATIENCE, start_wait=0.0)
        except (HandlerFailed, PCloudError) as error:
            log.debug("the objects that wait can't be counted: %s", error)
            return None
        return _by_app(answer.result)


def _by_app(answer: Any) -> Mapping[str, int] | None:
    """Read the answer of an app, which may be anything."""
    counts = Counter[str]()
    try:
        for bucket in answer["buckets"]:
            counts[str(bucket["owner"]).removeprefix("app:")] += int(bucket["objects"])
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the object storage answers the question how much waits with something else: %r", error)
        return None
    return counts
