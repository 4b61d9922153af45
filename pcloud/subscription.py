"""The events of one type as a stream that continues after the last event when the connection was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pcloud.context import Seen
from pcloud.errors import Unavailable
from pcloud.gateway import backoff
from pcloud.graph import Graph
from pcloud.subject import check_type

__all__ = ["GraphEvent", "follow_events"]

log = logging.getLogger("pcloud.subscription")


@dataclass(frozen=True, slots=True)
class GraphEvent:
    """`kind`: created, updated, deleted. `changed`: the names of the fields. `node`: the requested fields with their
    current values. `actor`: who did it, `through` which app ('' without one)."""

    kind: str
    id: str
    revision: str
    changed: tuple[str, ...]
    node: dict[str, Any] | None
    actor: str = ""
    through: str = ""


async def follow_events(
    graph: Graph, seen: Seen, type: str, after: str | None, node: str
) -> AsyncGenerator[GraphEvent, None]:
    """Yield each event once and in order, without end; raises only errors that a retry can't fix (`FORBIDDEN`,
    `REJECTED` …)."""
    field = f"{check_type(type)[0].lower()}{type[1:]}Events"
    selection = f" node {{ {node} }}" if node else ""
    document = f"subscription($after: String) {{ {field}(after: $after) {{ kind id revision actor through changed{selection} }} }}"
    pauses = backoff()
    while True:
        try:
            after = after or await _now(graph, seen)
            async for data in graph.subscribe(document, {"after": after}):
                event = _event(data[field])
                after, pauses = event.revision, backoff()
                seen.note(event.revision)
                yield event
            reason = "PCloud ended the subscription"
        except Unavailable as error:
            reason = error.message
        pause = next(pauses)
        log.info("events of %s: %s; connecting again in %.2g s", type, reason, pause)
        await asyncio.sleep(pause)


async def _now(graph: Graph, seen: Seen) -> str | None:
    """Today's revision, so that a reconnect before the first received event does not lose any."""
    await graph.query("{ __typename }")
    return seen.revision or None


def _event(raw: dict[str, Any]) -> GraphEvent:
    return GraphEvent(
        kind=str(raw["kind"]).lower(),
        id=str(raw["id"]),
        revision=str(raw["revision"]),
        changed=tuple(raw.get("changed") or ()),
        node=raw.get("node"),
        actor=str(raw.get("actor") or ""),
        through=str(raw.get("through") or ""),
    )
