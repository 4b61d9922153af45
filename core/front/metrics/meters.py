"""What is counted as it happens: appends, events written, calls. Everything else is looked up at a scrape.

Counted in plain numbers on the event loop: the client library's own counters take a lock at each step, which would
slow appends and calls. A scrape turns them into Prometheus metrics.

Labels are names of apps, outcomes and states, never ids, people or arguments: their number stays small.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from eventstore import Transaction

__all__ = ["Distribution", "Meters", "writer"]

# An append takes an fsync: from a tenth of a millisecond on a good disk to seconds on a full one.
APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CALL_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0)


class Distribution:
    """The number of values up to each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def into(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


class Meters:
    """Its methods are callbacks for the code that does what they count. Process figures are the library's, in a separate registry."""

    def __init__(self) -> None:
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._append = Distribution(APPEND_SECONDS)
        self._appends: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, Distribution] = {}

    def appended(self, transaction: Transaction, seconds: float, outcome: str) -> None:
        """Callback for `EventStore.on_append`."""
        self._appends[outcome] += 1
        if outcome == "OK":
            self._append.add(seconds)
            self._events[writer(transaction.actor, transaction.through)] += len(transaction.events)

    def called(self, app: str, seconds: float, outcome: str) -> None:
        """Callback for `Calls.on_called`."""
        self._calls[app, outcome] += 1
        if (known := self._seconds.get(app)) is None:
            known = self._seconds[app] = Distribution(CALL_SECONDS)
        known.add(seconds)

    def collect(self) -> Iterator[Metric]:
        yield from self._process.collect()
        append = HistogramMetricFamily("pcloud_append_seconds", "How long it took until a transaction was stored.")
        self._append.into(append)
        appends = CounterMetricFamily("pcloud_appends", "Transactions, by how storing them ended.", labels=["outcome"])
        for outcome, count in sorted(self._appends.items()):
            appends.add_metric([outcome], count)
        events = CounterMetricFamily("pcloud_events_written", "Events stored, by who wrote them.", labels=["writer"])
        for name, count in sorted(self._events.items()):
            events.add_metric([name], count)
        calls = CounterMetricFamily(
            "pcloud_calls", "Calls that reached an app, by their end.", labels=["app", "outcome"]
        )
        for labels, count in sorted(self._calls.items()):
            calls.add_metric(labels, count)
        seconds = HistogramMetricFamily("pcloud_call_seconds", "How long an app took to answer.", labels=["app"])
        for app, distribution in sorted(self._seconds.items()):
            distribution.into(seconds, [app])
        yield from (append, appends, events, calls, seconds)


def writer(actor: str, through: str) -> str:
    """Return the app's name, also if a person writes through it; else `person` or `device`, because metrics do not identify people."""
    kind, _, name = actor.partition(":")
    return name if kind == "app" else through or kind
