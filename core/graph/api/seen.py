"""An entity's `_version` in an app's view: the last event that the view shows.

The stored version moves with every event. In a view it would reveal changes of fields that the view hides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, cast

from core.graph.api.history import HistoryReader, shows
from core.graph.api.selection import ChildPlan, EntityPlan
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from projections.graph.contract import Row

__all__ = ["settle_versions"]

MOST = 1_000  # entities of one answer whose versions are looked up, at most
CHUNK = 100  # subjects per read of the log


async def settle_versions(view: View, log: HistoryReader, plan: EntityPlan, rows: Sequence[Row]) -> None:
    """Set each row's `_version` to the sequence of the last event that `view` shows, where the plan selects it."""
    if not view.app or not plan.versioned:
        return
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    types: dict[str, ViewType] = {}
    count = 0
    for type_, row in _versioned(plan, rows):
        found[type_.stored][row["id"]].append(row)
        types[type_.stored] = type_
        if (count := count + 1) > MOST:
            raise Rejected(f"`_version` is asked for of more than {MOST} entities: ask for smaller pages (`first`)")
    for stored, by_id in found.items():
        ids = sorted(by_id)
        for start in range(0, len(ids), CHUNK):
            await _settle(log, types[stored], {id: by_id[id] for id in ids[start : start + CHUNK]})


async def _settle(log: HistoryReader, type_: ViewType, by_id: dict[str, list[Row]]) -> None:
    subjects = {type_.ref(id).subject: id for id in by_id}
    last = max(row["_version"] for rows in by_id.values() for row in rows)
    seen = dict.fromkeys(by_id, 0)
    async for event in log.read(1, last, subjects=tuple(subjects)):
        if shows(type_, event):
            seen[event.ref.id] = event.sequence
    for id, rows in by_id.items():
        for row in rows:
            row["_version"] = seen[id]


def _versioned(plan: EntityPlan, rows: Sequence[Row]) -> Iterator[tuple[ViewType, Row]]:
    if plan.select.version:
        yield from ((plan.type, row) for row in rows)
    for child in plan.children:
        if isinstance(child.plan, EntityPlan) and child.plan.versioned:
            for row in rows:
                yield from _versioned(child.plan, _children(child, row))


def _children(child: ChildPlan, row: Row) -> Sequence[Row]:
    found: Any = row.get(child.key)
    return cast("list[Row]", found) if isinstance(found, list) else [] if found is None else [found]
