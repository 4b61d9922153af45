"""The installed apps in the log: entities of `core/App` and `core/Grant`, read from the directory and written by commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.access.caller import OWNER
from core.access.grant import grant_ref, grant_values, requested_grants
from core.apps.archive.archive import CheckedArchive
from core.apps.protocols import Commands
from core.apps.record import app_ref, app_values
from core.apps.review.additive import beyond
from core.apps.review.admission_rules import own_catalog
from core.apps.review.stored_data import Left
from core.apps.signing.author import Author
from core.graph.command import EntityChange
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.directory import App, AppState, Directory, Grant, Previous
from projections.graph.catalog import Catalog, TypeDef

__all__ = ["AppRegistry"]

ACTOR = OWNER.actor


class AppRegistry:
    """Every write is one transaction, which has been folded when the write returns."""

    def __init__(self, directory: Directory, commands: Commands):
        self._directory = directory
        self._commands = commands

    # --- reading ------------------------------------------------------------------------------------------------------

    def all(self) -> list[App]:
        return list(self._directory.records.apps.values())

    def get(self, name: str) -> App:
        """Raises `NotFound`."""
        return self._directory.app(name)

    def find(self, name: str) -> App | None:
        return self._directory.records.apps.get(name)

    def grants(self, name: str) -> tuple[Grant, ...]:
        """All grants of an app, decided or not, by verb and target."""
        return self._directory.grants(name)

    def types(self) -> Catalog:
        """All types that exist."""
        return self._directory.catalog

    def types_without(self, name: str) -> Catalog:
        """All types that exist, except those that this app declared before."""
        types: dict[str, TypeDef] = {}
        for type_name, type_ in self._directory.catalog.types.items():
            if not type_name.startswith(f"{name}/"):
                fields = {key: field for key, field in type_.fields.items() if not key.startswith(f"{name}/")}
                types[type_name] = TypeDef(type_.name, fields, type_.description)
        return Catalog(types=types)

    # --- writing ------------------------------------------------------------------------------------------------------

    async def register(self, checked: CheckedArchive, grants: Sequence[Grant], author: Author) -> App:
        """Register the app, INSTALLING, with its decided grants; grants of an earlier attempt that are not asked for
        any more are deleted."""
        name = checked.manifest.name
        earlier = self.find(name)
        state = {
            "state": AppState.INSTALLING.value, "step": "register", "error": None, "previous": None,
            **_signed(author), "forget": None, "paused": None, "installedAt": earlier.installed_at if earlier else _now(),
        }  # fmt: skip
        return await self._put({**self._values(checked), **state}, grants)

    async def replace(self, app: App, checked: CheckedArchive, grants: Sequence[Grant], author: Author) -> App:
        """Put another version in the place of `app`, UPGRADING; the version before is recorded for a rollback."""
        held = {grant.id: grant.state for grant in self.grants(app.name)}
        earlier = msgspec.structs.replace(app.previous, earlier="").to_json() if app.previous else ""
        previous = Previous(
            app.version, app.archive, app.manifest, app.schema, app.catalog, _now(), held, app.signer, earlier,
            bundled=app.bundled,
        )  # fmt: skip
        state = {
            "state": AppState.UPGRADING.value, "step": "register", "error": None, **_signed(author),
            "previous": previous.to_json(),
        }  # fmt: skip
        return await self._put({**self._values(checked), **state}, grants)

    async def restore(self, app: App, *, by_itself: bool) -> App:
        """Put the version before in the place of `app`, UPGRADING. Its grants keep their current decisions; those that
        the upgrade deleted return as they were. `by_itself`: the upgrade failed, so the earlier way back is
        available again."""
        before = app.previous
        assert before is not None
        earlier = before.before() if by_itself else None
        held = {**before.grants, **{grant.id: grant.state for grant in self.grants(app.name)}}
        grants = [
            replace(grant, state=held.get(grant.id, "rejected"))  # type: ignore[arg-type] - as it was stored
            for grant in requested_grants(before.manifest)
        ]
        hidden = beyond(app.declares(), app.hides())
        state = {
            "state": AppState.UPGRADING.value, "step": "register", "signer": before.signer or None, "bundled": before.bundled,
            "hidden": hidden.to_json(),
            "previous": msgspec.structs.replace(earlier, returning=True).to_json() if earlier else None,
        }  # fmt: skip
        return await self._put(
            {**app_values(before.manifest, before.archive, before.schema, before.catalog), **state}, grants
        )

    async def become(self, name: str, state: AppState, error: str = "", *, step: str = "", **more: Any) -> None:
        """`step`: left unchanged if not given."""
        values: dict[str, Any] = {"state": state.value, "error": error or None, **({"step": step} if step else {})}
        await self._set(name, **values, **more)

    async def step(self, name: str, step: str) -> None:
        """Record the step that begins now."""
        await self._set(name, step=step)

    async def set_bus_key(self, name: str, public: str) -> None:
        await self._set(name, nkey=public)

    async def set_limits(self, name: str, limits: Mapping[str, int]) -> None:
        await self._set(name, limits=msgspec.json.encode(limits).decode() if limits else None)

    async def set_hidden(self, name: str, hidden: Catalog) -> None:
        await self._set(name, hidden=hidden.to_json())

    async def set_grant(self, grant: Grant) -> None:
        await self._commands.write(
            ACTOR, [EntityChange(grant_ref(grant), "update", set={"state": grant.state})], urgent=True
        )

    async def bring_back(self, name: str, left: Left, catalog: Catalog) -> App:
        """Recreate a removed app's entity as REMOVING, so that its data is removed too; `catalog`: all types that it may have stored."""
        manifest = Manifest(name, left.version)
        values = app_values(manifest, left.archive, "", catalog.to_json())
        state = {"state": AppState.REMOVING.value, "step": "remove", "forget": True, "installedAt": _now()}
        return await self._put({**values, **state}, ())

    async def delete(self, name: str) -> None:
        """Delete the app with its grants and the capabilities that it gave or was given."""
        records = self._directory.records
        refs = [
            app_ref(name),
            *(grant_ref(grant) for grant in self.grants(name)),
            *(
                Ref("core", "Capability", one.id)
                for one in records.capabilities.values()
                if name in (one.giver, one.receiver)
            ),
        ]
        await self._commands.write(ACTOR, [EntityChange(ref, "delete") for ref in refs])

    # --- within -------------------------------------------------------------------------------------------------------

    def _values(self, checked: CheckedArchive) -> dict[str, Any]:
        catalog = own_catalog(checked, self.types_without(checked.manifest.name)).to_json()
        return app_values(checked.manifest, checked.sha256, checked.schema_text, catalog)

    async def _put(self, values: dict[str, Any], grants: Sequence[Grant]) -> App:
        """Write the node, with exactly these grants, in one transaction."""
        name = values["name"]
        kept = {grant.id for grant in grants}
        gone = [grant_ref(grant) for grant in self.grants(name) if grant.id not in kept]
        changes = [
            EntityChange(app_ref(name), "upsert", set=values),
            *(EntityChange(grant_ref(grant), "upsert", set=grant_values(grant)) for grant in grants),
            *(EntityChange(ref, "delete") for ref in gone),
        ]
        await self._commands.write(ACTOR, changes)
        return self.get(name)

    async def _set(self, name: str, **values: Any) -> None:
        """Urgent: on a full disk an app is paused or removed to make room."""
        await self._commands.write(ACTOR, [EntityChange(app_ref(name), "update", set=values)], urgent=True)


def _signed(author: Author) -> dict[str, Any]:
    """The fields of an app's entity that record its author."""
    signer = msgspec.json.encode(asdict(author.signer)).decode() if author.signer else None
    return {"signer": signer, "bundled": author.bundled}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
