"""Runs one subscription: events of one type, each in the selected shape, as the caller's view shows them now.

The view is looked up again for each chunk, so access that a caller loses ends with the next event.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from core.graph.api.events import EventHub
from core.graph.api.history import HistoryReader, shown_actor, shown_through, shows
from core.graph.api.operation import HitsPlan, Request, Step
from core.graph.api.seen import settle_versions
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from projections.graph.contract import GraphReader, IdIn

__all__ = ["Subscriptions", "read_position"]


def read_position(text: str, epoch: str) -> int:
    """Return the sequence of a revision that a caller sent. Raises `Rejected` for a revision of another log."""
    revision = Revision.parse(text)
    if revision.epoch != epoch:
        raise Rejected("this revision belongs to another log, as after a restore: forget it and read everything again")
    return revision.sequence


class Subscriptions:
    def __init__(self, log: HistoryReader, graph: GraphReader, hub: EventHub) -> None:
        self._log, self._graph, self._hub = log, graph, hub

    async def run(
        self, request: Request, after: str | None, refresh: Callable[[Request], Awaitable[Request]]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the `data` of each message, from `after` on; never ends. `refresh`: prepares the same request against the current view."""
        step = request.operation.steps[0]
        assert step.root is not None and step.root.type is not None  # each field of `Subscription` has a type
        start = read_position(after, self._log.epoch) if after else self._hub.folded
        async for chunk in self._hub.stream(step.root.type.type_name, start):
            waiting = [chunk]
            while waiting:
                events = waiting.pop()
                answered: Request | None = None
                answers: list[dict[str, Any]] = []
                try:
                    while answered is not request:  # again if the view changed meanwhile
                        answered = request = await refresh(request)
                        step = request.operation.steps[0]
                        answers = await self._answers(request, step, events)
                        request = await refresh(request)
                except Rejected:
                    if len(events) < 2:
                        raise
                    # One answer alone may exceed the limit.
                    middle = len(events) // 2
                    waiting += [events[middle:], events[:middle]]
                    continue
                for one in answers:
                    yield {step.key: one}

    async def _answers(self, request: Request, step: Step, events: Sequence[StoredEvent]) -> list[dict[str, Any]]:
        assert step.root is not None and step.root.type is not None and isinstance(step.plan, HitsPlan)
        type_, plan = step.root.type, step.plan
        events = [event for event in events if shows(type_, event)]
        ids = tuple(dict.fromkeys(event.ref.id for event in events))
        nodes: dict[str, dict[str, Any]] = {}
        for key, plans in plan.nodes.items():
            request.binder.begin()
            entity_plan = plans[type_.name]
            rows = await self._graph.fetch(request.binder.exactly(entity_plan, IdIn(ids), len(ids))) if ids else ()
            await settle_versions(request.served.view, self._log, entity_plan, rows)
            nodes[key] = {row["id"]: entity_plan.shape(row) for row in rows}
        return [self._answer(request.served.view, type_, plan, event, nodes) for event in events]

    def _answer(
        self, view: View, type_: ViewType, plan: HitsPlan, event: StoredEvent, nodes: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        shown = plan.plain({
            "kind": event.kind.value,
            "id": event.ref.id,
            "revision": str(Revision(self._log.epoch, event.sequence)),
            "actor": shown_actor(view, event.actor),
            "through": shown_through(view, event.through),
            "changed": [one.name for stored, one in type_.by_stored.items() if stored in event.change.fields],
        })  # fmt: skip
        return {key: nodes[key].get(event.ref.id) if key in nodes else shown[key] for key in plan.order}
