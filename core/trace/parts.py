"""The parts of core that a trace goes through and that need not know of it: the log, the API, the views' loops.

Each is wrapped only where traces are wanted, so that without them nothing is done at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from core.api import Api
from core.caller import Caller
from core.trace.port import NO_TRACES, Tracer
from eventstore import Appended, Transaction
from pcloud.event import StoredEvent

__all__ = ["TracedApi", "TracedLog", "api_with", "log_with", "trace_folding"]

OPERATION = re.compile(r"\s*(query|mutation)\b\s*(\w*)", re.ASCII)
NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,79}", re.ASCII)  # of GraphQL, and no longer than a span's name should be
# An event that a view takes later than this is being folded anew: its trace is history.
LIVE = 60.0


def log_with(tracer: Tracer, store: Any) -> Any:
    """The log for whoever writes it; itself without traces."""
    return store if tracer is NO_TRACES else TracedLog(store, tracer)


def api_with(tracer: Tracer) -> Callable[..., Api]:
    """What makes the API."""
    return Api if tracer is NO_TRACES else partial(TracedApi, tracer)


class TracedLog:
    """The log as `core.command.Commands` writes it: each append is a span, and each event tells it to whom it concerns."""

    def __init__(self, store: Any, tracer: Tracer) -> None:
        self._store, self._tracer = store, tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, tx: Transaction, /) -> Appended:
        facts = {
            "pcloud__tx": tx.tx,
            "pcloud__actor": tx.actor,
            "pcloud__through": tx.through,
            "pcloud__events": len(tx.events),
        }
        with self._tracer.span("append GRAPH", "producer", messaging__system="nats", **facts) as span:
            appended = await self._store.append(replace(tx, traceparent=span.traceparent))
            span.note(pcloud__sequence=appended.revision.sequence)
            return appended


class TracedApi(Api):
    """Each operation is a span, below the one that the request names."""

    def __init__(self, tracer: Tracer, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._tracer = tracer

    async def execute(
        self, caller: Caller, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        kind, name = operation(body)
        facts = {"pcloud__caller": caller.actor, "pcloud__view": caller.view_app, "graphql__operation__type": kind}
        parent = headers.get("traceparent", "")
        with self._tracer.span(f"graphql {kind}", "server", parent, **facts) as span:
            status, answer, more = await super().execute(caller, body, headers)
            if status == 200 and name:  # so the document is valid and has an operation of this name
                span.rename(f"graphql {kind} {name}")
            span.note(http__response__status_code=status)
            if status >= 400:
                span.fail(str(status))
            return status, answer, more


def operation(body: Mapping[str, Any]) -> tuple[str, str]:
    """Its kind and its name, as far as they are told at the beginning. Whether the document has such an operation is seen by whoever
    answers it; '' for what can be no operation's name, or is too long to be a span's."""
    text = body.get("query")
    found = OPERATION.match(text) if isinstance(text, str) else None
    name = body.get("operationName") or (found[2] if found else "")
    return found[1] if found else "query", name if isinstance(name, str) and NAME.fullmatch(name) else ""


def trace_folding(tracer: Tracer, view: str, loop: Any) -> Callable[[], None]:
    """A span for each traced transaction that `view` takes, from when it was stored to when the view had it. Returns what
    ends that."""
    if tracer is NO_TRACES:
        return lambda: None

    def applied(events: Sequence[StoredEvent]) -> None:
        now = time.time()
        for event in events:
            if event.traceparent and event.ends_transaction and now - event.time < LIVE:
                facts = {"pcloud__tx": event.tx, "pcloud__sequence": event.sequence}
                tracer.past(f"fold {view}", "consumer", event.traceparent, event.time, now, **facts)

    return loop.on_applied(applied)
