"""Counts the events that each app writes and the calls that it makes, and refuses those beyond its quota. A refusal loses
nothing: it says when to try again, and the SDK and the event processor do.

The owner, the owner's devices and the platform itself are not counted: they must be able to undo what an app does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core.access.quota.actor import charged
from core.access.quota.refusals import QuotaRefusals
from core.access.quota.token_bucket import TokenBucket
from pcloud.errors import Unavailable

__all__ = ["QuotaSettings", "Quotas"]

Kind = Literal["events", "calls"]
MOST = 1000


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """For each app: events and calls a second in the long run, and the burst that is allowed at once. A transaction
    has up to 1000 events, so a burst is never less. A large event counts once for each started `event_bytes`."""

    events: float = 1_000.0
    events_burst: float = 20_000.0
    event_bytes: int = 8 * 2**10
    calls: float = 1_000.0
    calls_burst: float = 10_000.0


class Quotas:
    """One per node; every node counts for itself."""

    def __init__(
        self,
        settings: QuotaSettings | None = None,
        *,
        refusals: QuotaRefusals | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or QuotaSettings()
        self.refusals, self._clock = refusals or QuotaRefusals(clock=clock), clock
        self._buckets: dict[tuple[str, Kind], TokenBucket] = {}

    def events(self, actor: str, count: int, size: int = 0) -> None:
        """`actor` (as in an event's header) is about to write `count` events with `size` bytes in all. Raises
        `Unavailable` beyond its quota."""
        count += size // self.settings.event_bytes
        self._take(actor, "events", count, self.settings.events, self.settings.events_burst)

    def calls(self, actor: str) -> None:
        """`actor` is about to call or to send. Raises `Unavailable` beyond its quota."""
        self._take(actor, "calls", 1, self.settings.calls, self.settings.calls_burst)

    def _take(self, actor: str, kind: Kind, count: int, rate: float, burst: float) -> None:
        if not (app := charged(actor)):
            return
        now = self._clock()
        bucket = self._buckets.get((app, kind))
        if bucket is None:
            self._forget(now)
            bucket = self._buckets[app, kind] = TokenBucket(rate, burst, now)
        seconds = bucket.take(min(count, burst), now)
        if seconds > 0:
            what = f"{app} is beyond its quota of {rate:g} {kind} a second ({burst:g} at once)"
            self.refusals.add(app, kind, what)
            raise Unavailable(f"{what}: try again in {seconds:.1f} s, and do more in one request if you can")

    def _forget(self, now: float) -> None:
        """Drop buckets that are full again: they hold no information, and apps come and go."""
        if len(self._buckets) >= MOST:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.full(now)}
