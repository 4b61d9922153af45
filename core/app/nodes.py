"""The installed apps as the log has them: nodes of `core/App` and `core/Grant`, read from the graph view, written by
commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from core.app.admission import own_catalog
from core.app.archive import CheckedArchive
from core.app.ports import Commands
from core.app.record import ALL_APPS, APP_TYPE, App, AppState, app_from_row, app_ref, app_values
from core.caller import Grant
from core.command import NodeChange
from core.grant import GRANT_TYPE, grant_ref, grant_values
from pcloud.errors import NotFound
from pcloud.subject import Ref
from projections.graph.catalog import Catalog, TypeDef
from projections.graph.port import Compare, GraphStore, IdIn, Select

__all__ = ["AppNodes"]

CAPABILITY_TYPE = "core/Capability"
ACTOR = "owner"


class AppNodes:
    """Every write is one transaction; it has been folded when the write returns."""

    def __init__(self, graph: GraphStore, commands: Commands):
        self._graph = graph
        self._commands = commands

    async def all(self) -> list[App]:
        return [app_from_row(row) for row in await self._graph.fetch(ALL_APPS)]

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        rows = await self._graph.fetch(Select(APP_TYPE, scalars=ALL_APPS.scalars, filter=IdIn((name,))))
        if not rows:
            raise NotFound(f"there is no app {name!r} here: `pcloud app list` shows what is installed")
        return app_from_row(rows[0])

    def types(self) -> Catalog:
        """All types that exist."""
        return self._graph.catalog

    def types_without(self, name: str) -> Catalog:
        """All types that exist, less what this app itself declared at an earlier try."""
        types: dict[str, TypeDef] = {}
        for type_name, type_ in self._graph.catalog.types.items():
            if not type_name.startswith(f"{name}/"):
                fields = {key: field for key, field in type_.fields.items() if not key.startswith(f"{name}/")}
                types[type_name] = TypeDef(type_.name, fields, type_.description)
        return Catalog(types=types)

    async def register(self, checked: CheckedArchive, grants: Sequence[Grant]) -> App:
        """The app, INSTALLING, with its decided grants; those of an earlier try that are not asked for any more go."""
        name = checked.manifest.name
        catalog = own_catalog(checked, self.types_without(name)).to_json()
        earlier = {app.name: app for app in await self.all()}.get(name)
        installed_at = earlier.installed_at if earlier else _now()
        values = app_values(checked.manifest, checked.sha256, checked.schema_text, catalog, installed_at)
        kept = {grant.id for grant in grants}
        gone = [ref for ref in await self._refs(GRANT_TYPE, "app", name) if ref.id not in kept]
        changes = [
            NodeChange(app_ref(name), "upsert", set=values),
            *(NodeChange(grant_ref(grant), "upsert", set=grant_values(grant)) for grant in grants),
            *(NodeChange(ref, "delete") for ref in gone),
        ]
        await self._commands.write(ACTOR, changes)
        return await self.get(name)

    async def become(self, name: str, state: AppState, error: str = "") -> None:
        change = NodeChange(app_ref(name), "update", set={"state": state.value, "error": error or None})
        await self._commands.write(ACTOR, [change])

    async def set_bus_key(self, name: str, public: str) -> None:
        await self._commands.write(ACTOR, [NodeChange(app_ref(name), "update", set={"nkey": public})])

    async def delete(self, name: str) -> None:
        """The app with its grants and the capabilities that it gave or was given."""
        refs = [
            app_ref(name),
            *await self._refs(GRANT_TYPE, "app", name),
            *await self._refs(CAPABILITY_TYPE, "giver", name),
            *await self._refs(CAPABILITY_TYPE, "receiver", name),
        ]
        await self._commands.write(ACTOR, [NodeChange(ref, "delete") for ref in dict.fromkeys(refs)])

    async def _refs(self, type_: str, field: str, value: str) -> list[Ref]:
        rows = await self._graph.fetch(Select(type_, scalars=("id",), filter=Compare(field, "eq", value)))
        return [Ref("core", type_.removeprefix("core/"), row["id"]) for row in rows]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
