"""Facts looked up at a scrape: the state of projections, triggers, queues, apps and the disk.

Each look-up is bounded by the number of apps, triggers and streams, never by the stored data. The log's server is
asked with a short time-out: the other facts are reported even while it is away, because that is when people look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from core.apps.process.vitals import AppVitals
from core.front.metrics.measured import MeasuredLoop, MeasuredNode
from eventstore import EventStore
from eventstore.report import ConsumerReport, StreamReport
from pcloud.errors import PCloudError

__all__ = ["Facts", "Lag", "gather_facts"]

PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a projection is behind its log: events, and seconds since the first of them was stored (0 if unknown)."""

    events: int
    seconds: float


@dataclass(slots=True)
class Facts:
    """`log_up`: the log's server has answered; otherwise the facts that only it knows are missing."""

    log_up: bool = False
    last: int = 0
    streams: Sequence[StreamReport] = ()
    triggers: Sequence[ConsumerReport] = ()
    work: Sequence[ConsumerReport] = ()
    lags: Mapping[str, Lag] = field(default_factory=dict[str, Lag])
    runs: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    apps: Sequence[AppVitals] = ()
    refused: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    waiting_appends: int = 0
    waiting_audit: int = 0
    disk_free: int = 0
    disk_total: int = 0
    nats_memory: int = 0
    takes_writes: bool = True
    log_silences: int = 0
    graph_up: bool = True


async def gather_facts(node: MeasuredNode) -> Facts:
    facts = Facts(
        runs=node.projections.runs.tally,
        refused=dict(node.quotas.refusals.counts),
        waiting_appends=node.store.waiting,
        waiting_audit=node.audit.waiting,
        takes_writes=not node.problem,
        log_silences=node.store.silences,
        graph_up=not node.projections.graphs.problem,
    )
    usage, facts.nats_memory, facts.apps = await asyncio.gather(
        asyncio.to_thread(node.folder.usage), asyncio.to_thread(memory_of, node.server.pid), node.apps.vitals()
    )
    facts.disk_free, facts.disk_total = usage
    # If the server dies meanwhile, noticing it takes time; the facts received until then are kept.
    with suppress(PCloudError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await ask_the_log(node, facts)
    return facts


async def ask_the_log(node: MeasuredNode, facts: Facts) -> None:
    store = node.store
    facts.streams, facts.triggers, facts.work, facts.last = await asyncio.gather(
        store.report_streams(patience=PATIENCE),
        store.report_consumers("GRAPH", patience=PATIENCE),
        store.report_consumers("WORK", patience=PATIENCE),
        store.last_sequence(),
    )
    runs_last = await store.runs.last_sequence()
    projections = node.projections
    loops = {
        "directory": projections.directory_loop,
        "graph": projections.graph_loop,
        "search": projections.search_loop,
    }
    facts.lags = {
        **{name: await lag(store, loop, facts.last) for name, loop in loops.items()},
        "runs": Lag(max(0, runs_last - projections.runs_loop.checkpoint.sequence), 0.0),
    }
    facts.log_up = True


async def lag(store: EventStore, loop: MeasuredLoop, last: int) -> Lag:
    at = loop.checkpoint.sequence
    if at >= last:
        return Lag(0, 0.0)
    since = await store.time_after(at)
    return Lag(last - at, max(0.0, time.time() - since) if since is not None else 0.0)


def memory_of(pid: int | None) -> int:
    """Bytes of memory that one process holds; 0 if it does not exist."""
    from core.apps.process.vitals import resident

    return resident([pid]) if pid is not None else 0
