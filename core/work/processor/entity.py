"""What a trigger may see of an event's entity: its fields under the names of the app's view, read
from the graph only when, and only as far as, `where` or an argument needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core.graph.schema import View, ViewType
from core.work.processor.compiled_trigger import CompiledTrigger
from pcloud.errors import Rejected
from pcloud.event import StoredEvent
from projections.graph.contract import Child, Every, Filter, GraphReader, IdIn, Row, Select

__all__ = ["describe_event", "matching_ids", "read_entity"]

CHILDREN = 100
Path = tuple[str, ...]


async def read_entity(graph: GraphReader, view: View, compiled: CompiledTrigger, id: str) -> Row | None:
    """Return the fields that the arguments need, or None if no such entity exists (any more) or it does not pass `where`."""
    type_ = _type(view, compiled)
    shape = _shape(view, type_, compiled.arguments.paths)
    rows = await graph.fetch(_select(type_, shape, _filter(view, type_, compiled, (id,)), first=1))
    return _named(rows[0], shape) if rows else None


async def matching_ids(graph: GraphReader, view: View, compiled: CompiledTrigger, ids: Sequence[str]) -> frozenset[str]:
    """Return the ids of the nodes that exist and pass `where` now."""
    type_ = _type(view, compiled)
    rows = await graph.fetch(
        Select(type_.stored, scalars=("id",), filter=_filter(view, type_, compiled, ids), first=len(ids))
    )
    return frozenset(row["id"] for row in rows)


def describe_event(view: View, compiled: CompiledTrigger, event: StoredEvent, revision: str) -> dict[str, Any]:
    """Return what templates see as `event`; `changed`: the names of the view's fields that the event changed."""
    type_ = view.by_stored.get(str(compiled.type))
    changed = [type_.by_stored[name].name for name in event.change.fields if name in type_.by_stored] if type_ else []
    return {
        "id": event.ref.id,
        "type": event.ref.type,
        "app": event.ref.app,
        "kind": event.kind.value,
        "revision": revision,
        "changed": sorted(changed),
    }


def _type(view: View, compiled: CompiledTrigger) -> ViewType:
    type_ = view.by_stored.get(str(compiled.type))
    if type_ is None:
        raise Rejected(
            f"the trigger {compiled.key} needs {compiled.type}, which {compiled.app} can't see: it has no grant to read it"
        )
    return type_


def _filter(view: View, type_: ViewType, compiled: CompiledTrigger, ids: Sequence[str]) -> Filter:
    wanted = IdIn(tuple(ids))
    return Every((wanted, view.filter(type_.name, compiled.where))) if compiled.where else wanted


@dataclass(frozen=True, slots=True)
class _Shape:
    """`scalars`: view name → stored name. `children`: view name of a relation → its stored name, its type, the shape
    wanted there."""

    scalars: Mapping[str, str]
    children: Mapping[str, tuple[str, ViewType, _Shape]]


def _shape(view: View, type_: ViewType, paths: Iterable[Path]) -> _Shape:
    """Raises `Rejected` for a field that the view does not have."""
    scalars: dict[str, str] = {"id": "id"}
    below: dict[str, set[Path]] = {}
    for head, *rest in paths:
        field = type_.fields.get(head)
        if head == "id":
            continue
        if field is None:
            raise Rejected(f"there is no field {head!r} on {type_.name}: it has {', '.join(sorted(type_.fields))}")
        if field.is_relation:
            below.setdefault(head, set()).update([tuple(rest)] if rest else ())
        elif rest:
            raise Rejected(f"{type_.name}.{head} is not a relation: it has no field {rest[0]!r}")
        else:
            scalars[head] = field.stored
    children: dict[str, tuple[str, ViewType, _Shape]] = {}
    for head, inner in below.items():
        field = type_.fields[head]
        target = view.types[field.target]
        children[head] = (field.stored, target, _shape(view, target, inner))
    return _Shape(scalars, children)


def _select(type_: ViewType, shape: _Shape, filter: Filter | None, first: int) -> Select:
    children = tuple(
        Child(name, stored, _select(target, inner, None, CHILDREN))
        for name, (stored, target, inner) in shape.children.items()
    )
    return Select(type_.stored, scalars=tuple(shape.scalars.values()), children=children, filter=filter, first=first)


def _named(row: Row, shape: _Shape) -> Row:
    """Return the row with its fields under the view's names."""
    named: Row = {name: row.get(stored) for name, stored in shape.scalars.items()}
    for name, (_, _, inner) in shape.children.items():
        value = row.get(name)
        if isinstance(value, list):
            named[name] = [_named(child, inner) for child in cast("list[Row]", value)]
        else:
            named[name] = None if value is None else _named(value, inner)
    return named
