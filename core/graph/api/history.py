"""`nodeHistory`: an entity's past events from the log, newest first, reduced to what the view shows."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from core.access.quota import size_of
from core.graph.api.selection import Shape
from core.graph.schema.scalar import canonical_datetime
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from pcloud.event import Change, Kind, StoredEvent
from pcloud.revision import Revision
from pcloud.subject import check_id
from projections.graph.contract import GraphReader

__all__ = ["HistoryReader", "node_history", "shown_actor", "shown_through", "shows", "visible_change"]

MAX_ENTRIES = 1_000


class HistoryReader(Protocol):
    """The part of `eventstore.EventStore` that histories and event streams read."""

    @property
    def epoch(self) -> str: ...
    @property
    def id_key(self) -> bytes: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...
    async def last_sequence(self) -> int: ...
    async def sequence_at(self, time: float) -> int: ...


async def node_history(
    view: View, log: HistoryReader, graph: GraphReader, shape: Shape, arguments: Mapping[str, Any], most: int
) -> list[dict[str, Any]]:
    """Return the newest changes first. `most`: about how many bytes of them. Raises `Rejected` beyond."""
    type_ = view.type(arguments["type"])
    first = 100 if arguments.get("first") is None else arguments["first"]
    if not 0 < first <= MAX_ENTRIES:
        raise Rejected(f"`first` is {first}: use 1 to {MAX_ENTRIES}")
    ref = type_.ref(check_id(arguments["id"]))
    last = (await graph.entities([ref]))[ref].version
    if last == 0:
        return []
    found: deque[StoredEvent] = deque()
    held = 0
    async for event in log.read(1, last, subjects=(ref.subject,)):
        if shows(type_, event):
            found.append(event)
            held += size_of(event.change.set)
            if len(found) > first:
                held -= size_of(found.popleft().change.set)
            if held > most:
                raise Rejected(f"the newest {first} changes are too large for one answer: ask for fewer (`first`)")
    return [shape(_entry(log.epoch, view, type_, event)) for event in reversed(found)]


def shows(type_: ViewType, event: StoredEvent) -> bool:
    """Return True if the view shows a part of this event; an update of hidden fields alone is hidden too."""
    return event.kind is not Kind.UPDATED or any(name in type_.by_stored for name in event.change.fields)


def shown_actor(view: View, actor: str) -> str:
    """Return `app` for an app that is neither the view's own nor the owner of its types or fields; `person` and `device` for those."""
    kind, _, name = actor.partition(":")
    if not view.app or not name or (kind == "app" and name in view.known_apps):
        return actor
    return kind


def shown_through(view: View, through: str) -> str:
    """Return the app through which the actor wrote, masked as actors are."""
    return through if not through or not view.app or through in view.known_apps else "app"


def _entry(epoch: str, view: View, type_: ViewType, event: StoredEvent) -> dict[str, Any]:
    return {
        "revision": str(Revision(epoch, event.sequence)),
        "time": canonical_datetime(datetime.fromtimestamp(event.time, UTC)),
        "kind": event.kind.value,
        "actor": shown_actor(view, event.actor),
        "through": shown_through(view, event.through),
        "cause": event.cause,
        "tx": event.tx,
        "change": visible_change(type_, event.change),
    }


def visible_change(type_: ViewType, change: Change) -> dict[str, Any]:
    """Return the change under the view's names, without hidden fields."""
    names = {stored: one.name for stored, one in type_.by_stored.items()}
    answer: dict[str, Any] = {}
    for part in ("set", "link", "unlink"):
        if shown := {names[name]: value for name, value in getattr(change, part).items() if name in names}:
            answer[part] = shown
    if unset := [names[name] for name in change.unset if name in names]:
        answer["unset"] = unset
    return answer
