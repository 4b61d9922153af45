"""An installed app: the entity `core/App`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.manifest import Manifest, Resources
from pcloud.stored_manifest import upcast_manifest
from projections.graph.catalog import Catalog

__all__ = ["App", "AppState", "Previous", "read_app"]


class AppState(StrEnum):
    """The node continues INSTALLING, UPGRADING and REMOVING at its next start; PAUSED and FAILED wait for the owner."""

    INSTALLING = "INSTALLING"
    UPGRADING = "UPGRADING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    REMOVING = "REMOVING"


class Previous(msgspec.Struct, frozen=True):
    """The version before an upgrade, as a rollback needs it. `at`: when it was replaced. `grants`: the states by id at
    that time. `earlier`: the version before that one, as JSON, for an upgrade that is reverted automatically;
    `returning`: True if such a revert made this the previous version. `archive` identifies the snapshot of the data
    folder."""

    version: str
    archive: str
    manifest: Manifest
    schema: str
    catalog: str
    at: str
    grants: dict[str, str] = {}
    signer: str = ""
    earlier: str = ""
    returning: bool = False
    bundled: bool | None = None

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    def before(self) -> Previous | None:
        """The version stored in `earlier`."""
        return _previous(self.earlier) if self.earlier else None


@dataclass(frozen=True, slots=True)
class App:
    """An app that is installed, or is being installed or removed. `archive`: its sha256. `step`: the last step that was
    begun. `error`: why it is FAILED or PAUSED, or an upgrade was reverted. `signer`: JSON. `installed_at`: the first
    attempt to install it; all attempts up to its removal share it. `forget`: its data is deleted with it. `limits`:
    those that the owner has changed. `paused`: why it was PAUSED when an unfinished upgrade began. `schema`: the text
    of schema.graphql; `catalog`, `hidden`: what it declares, and what reverted versions declared beyond that, as JSON.
    `bundled`: True if it came with PCloud; None if an older PCloud did not record it."""

    name: str
    version: str
    state: AppState
    manifest: Manifest
    archive: str
    nkey: str = ""
    error: str = ""
    installed_at: str = ""
    step: str = ""
    previous: Previous | None = None
    signer: str = ""
    forget: bool = False
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    paused: str = ""
    schema: str = field(default="", repr=False)
    catalog: str = field(default="", repr=False)
    hidden: str = field(default="", repr=False)
    bundled: bool | None = None

    @property
    def resources(self) -> Resources:
        """The limits of what it may use of the machine."""
        return msgspec.structs.replace(self.manifest.resources, **self.limits)

    @property
    def title(self) -> str:
        return self.manifest.title or self.name

    @property
    def web(self) -> bool:
        return self.manifest.run is not None and self.manifest.run.web

    def declares(self) -> Catalog:
        """The catalog that the installed version declares."""
        return Catalog.from_json(self.catalog or "{}")

    def hides(self) -> Catalog:
        """The part of the catalog that only reverted versions declared; entities of that time are still stored."""
        return Catalog.from_json(self.hidden or "{}")


def _previous(text: str) -> Previous:
    previous = msgspec.json.decode(text, type=Previous)
    return msgspec.structs.replace(previous, manifest=upcast_manifest(previous.manifest))


def read_app(name: str, fields: Mapping[str, Any]) -> App:
    """The app in its entity's fields; raises `Corrupt`."""
    try:
        return App(
            name=name,
            version=fields["version"],
            state=AppState(fields["state"]),
            manifest=upcast_manifest(msgspec.json.decode(fields["manifest"], type=Manifest)),
            archive=fields.get("archive") or "",
            nkey=fields.get("nkey") or "",
            error=fields.get("error") or "",
            installed_at=fields.get("installedAt") or "",
            step=fields.get("step") or "",
            previous=_previous(fields["previous"]) if fields.get("previous") else None,
            signer=fields.get("signer") or "",
            forget=bool(fields.get("forget")),
            limits=_limits(fields.get("limits") or ""),
            paused=fields.get("paused") or "",
            schema=fields.get("schema") or "",
            catalog=fields.get("catalog") or "",
            hidden=fields.get("hidden") or "",
            bundled=fields.get("bundled"),
        )
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
        raise Corrupt(f"the stored record of the app {name} can't be read: {error}") from error


def _limits(text: str) -> dict[str, int]:
    """The limits, without those that this program version does not know."""
    stored = msgspec.json.decode(text, type=dict[str, int]) if text else {}
    return {name: value for name, value in stored.items() if name in Resources.__struct_fields__}
