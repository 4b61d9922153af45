"""Adds traces to parts of core that know nothing of them: the log, the API, the projections' loops.

Each part is wrapped only if traces are wanted, so that they cost nothing otherwise.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ariadne.types import Extension
from graphql import GraphQLError

from core.graph.command.protocols import WritableLog
from core.trace.tracer import NO_TRACES, Tracer
from eventstore import Appended, EventStore, Transaction
from eventstore.erasure import Erasure
from pcloud.errors import Rejected
from pcloud.event import StoredEvent
from projections.loop import ProjectionLoop

__all__ = ["TracedLog", "api_extensions", "log_with", "trace_folding"]

LONGEST = 80  # letters of an operation's name in its span's name
# An event that a projection folds later than this is folded again, in a rebuild: its trace is over.
LIVE = 60.0


def log_with(tracer: Tracer, store: EventStore) -> WritableLog:
    """Return the log for its writers, with spans; without traces the log itself."""
    return store if tracer is NO_TRACES else TracedLog(store, tracer)


def api_extensions(tracer: Tracer) -> list[Callable[[], Extension]]:
    """Return the extensions for the API."""
    return [] if tracer is NO_TRACES else [partial(OperationSpan, tracer)]


class TracedLog:
    """The log as `core.graph.command.Commands` writes it: each append is a span, and each event carries its traceparent."""

    def __init__(self, store: EventStore, tracer: Tracer) -> None:
        self._store, self._tracer = store, tracer

    @property
    def epoch(self) -> str:
        return self._store.epoch

    @property
    def id_key(self) -> bytes:
        return self._store.id_key

    @property
    def erasure(self) -> Erasure:
        return self._store.erasure

    async def last_sequence(self) -> int:
        return await self._store.last_sequence()

    async def append(self, tx: Transaction, /) -> Appended:
        with self._tracer.span(
            "append GRAPH", "producer", messaging__system="nats",
            pcloud__tx=tx.tx, pcloud__actor=tx.actor, pcloud__through=tx.through, pcloud__events=len(tx.events),
        ) as span:  # fmt: skip
            appended = await self._store.append(replace(tx, traceparent=span.traceparent))
            span.note(pcloud__sequence=appended.revision.sequence)
            return appended


class OperationSpan(Extension):
    """Each query and mutation is a span, below the span that the request names. The span of a refused operation has no name of it."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def request_started(self, context: Any) -> None:
        facts = {"pcloud__caller": context.caller.actor, "pcloud__view": context.caller.view_app}
        self._open = self._tracer.span("graphql", "server", context.headers.get("traceparent", ""), **facts)
        self._span = self._open.__enter__()

    def has_errors(self, errors: list[GraphQLError], context: Any) -> None:
        if context.request is None:
            self._span.fail(Rejected.code)

    def request_finished(self, context: Any) -> None:
        if context.request is not None:
            kind, name = context.request.operation.kind, context.request.operation.node.name
            self._span.note(graphql__operation__type=kind)
            self._span.rename(f"graphql {kind} {name.value[:LONGEST] if name else ''}".rstrip())
        self._open.__exit__(*sys.exc_info())


def trace_folding(tracer: Tracer, projection: str, loop: ProjectionLoop[Any]) -> Callable[[], None]:
    """Make a span for each traced transaction that `projection` folds, from its storage to the moment when the projection has it.
    Return the function that stops this."""
    if tracer is NO_TRACES:
        return lambda: None

    def applied(events: Sequence[StoredEvent]) -> None:
        now = time.time()
        for event in events:
            if event.traceparent and event.ends_transaction and now - event.time < LIVE:
                facts = {"pcloud__tx": event.tx, "pcloud__sequence": event.sequence}
                tracer.past(f"fold {projection}", "consumer", event.traceparent, event.time, now, **facts)

    return loop.on_applied(applied)
