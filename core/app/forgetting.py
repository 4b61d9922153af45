"""Forgets what a removed app stored: the entities of its own types, its fields on those of others, its calls and runs.

An entity is forgotten whole, with its history. A field on another app's entity is taken away; the entity's older events
stay, as they are that app's. Every part can be done again: what is gone is not found.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.app.parts import AppParts, Progress
from core.app.record import App
from core.command import NodeChange
from pcloud.subject import Ref, TypeName
from projections.graph.catalog import TypeDef
from projections.graph.port import Filter, Has, Some

__all__ = ["forget_app"]

ACTOR = "owner"
AT_ONCE = 500


async def forget_app(parts: AppParts, app: App, progress: Progress) -> None:
    """While the app's types are still known, so before its own node goes."""
    count = 0
    for name, type_ in sorted(parts.nodes.types().types.items()):
        if TypeName.parse(name).app == app.name:
            while refs := await _refs(parts, name, None):
                await parts.commands.forget(ACTOR, refs)
                count += len(refs)
                progress("forget", f"{count} entries")
        else:
            count += await _take_fields(parts, app.name, type_)
    await parts.store.forget_app(app.name)
    progress("forget", f"{count} entries, with its calls and runs")


async def _take_fields(parts: AppParts, app: str, type_: TypeDef) -> int:
    """Empty the app's fields on all entities of another app's type; how many had one."""
    own = [field for name, field in type_.fields.items() if name.startswith(f"{app}/")]
    if not own:
        return 0
    filled: Filter = Some(tuple(Has(field.name) for field in own))
    values = {field.name: None for field in own if not field.is_relation}
    links = tuple(field.name for field in own if field.is_relation)
    count = 0
    while refs := await _refs(parts, type_.name, filled):
        await parts.commands.write(ACTOR, [NodeChange(ref, "update", set=values, clear=links) for ref in refs])
        count += len(refs)
    return count


async def _refs(parts: AppParts, name: str, filter: Filter | None) -> Sequence[Ref]:
    type_ = TypeName.parse(name)
    return [Ref(type_.app, type_.type, id) for id in await parts.nodes.ids(name, filter, AT_ONCE)]
