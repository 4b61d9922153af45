"""What is counted as it happens: appends, events written, calls. Everything else is looked up when it is asked for.

A registry of its own: nothing that a library registers by itself appears, and two nodes in one process do not mix.
Labels are names of apps, outcomes and states, never ids, people or arguments: their number stays small.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from eventstore import Transaction

__all__ = ["Meters", "writer"]

# An append takes an fsync: from a tenth of a millisecond on a good disk to seconds on a full one.
APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CALL_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0)


class Meters:
    """Hand its methods to whoever does what they count."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._append = Histogram(
            "pcloud_append_seconds", "How long it took until a transaction was stored.",
            buckets=APPEND_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._appends = Counter(
            "pcloud_appends",
            "Transactions that were to be stored, by how that ended.",
            ["outcome"],
            registry=self.registry,
        )
        self._events = Counter(
            "pcloud_events_written", "Events stored, by who wrote them: owner, device, core or an app.", ["writer"],
            registry=self.registry,
        )  # fmt: skip
        self._calls = Counter(
            "pcloud_calls", "Calls that reached an app, runs of triggers included, by how they ended.", ["app", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "pcloud_call_seconds", "How long an app took to answer a call.", ["app"],
            buckets=CALL_SECONDS, registry=self.registry,
        )  # fmt: skip

    def appended(self, transaction: Transaction, seconds: float, outcome: str) -> None:
        """As `EventStore.on_append` tells it."""
        self._appends.labels(outcome).inc()
        if outcome == "OK":
            self._append.observe(seconds)
            self._events.labels(writer(transaction.actor)).inc(len(transaction.events))

    def called(self, app: str, seconds: float, outcome: str) -> None:
        """As `Calls.on_called` tells it."""
        self._calls.labels(app, outcome).inc()
        self._seconds.labels(app).observe(seconds)


def writer(actor: str) -> str:
    """`owner`, `device`, or the app's name: there are too many devices' ids, and they are nobody's business."""
    kind, _, name = actor.partition(":")
    return name if kind == "app" else kind
