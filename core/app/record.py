"""What the log knows of an installed app: the node `core/App`, read and written here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from core.app.limits import limits_from_json
from pcloud.errors import Corrupt
from pcloud.manifest import Manifest, Resources
from pcloud.subject import Ref
from projections.graph.port import Select

__all__ = ["ALL_APPS", "APP_TYPE", "App", "AppState", "Previous", "app_from_row", "app_ref", "app_values"]

APP_TYPE = "core/App"
FIELDS = (
    "id", "version", "state", "step", "manifest", "archive", "nkey", "error", "installedAt", "previous", "signer",
    "forget", "limits", "paused",
)  # fmt: skip
ALL_APPS = Select(APP_TYPE, scalars=FIELDS)


class AppState(StrEnum):
    """INSTALLING, UPGRADING and REMOVING are gone on with at the next start; PAUSED and FAILED wait for the owner."""

    INSTALLING = "INSTALLING"
    UPGRADING = "UPGRADING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    REMOVING = "REMOVING"


class Previous(msgspec.Struct, frozen=True):
    """The version before an upgrade, as a rollback needs it. `at`: when it was left. `grants`: the states by id at that
    time. `earlier`: the version before that one, as JSON, for an upgrade that is taken back by itself; `returning`: that
    is how it came to be the one before again. The snapshot of the data folder is known by `archive`."""

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

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    def before(self) -> Previous | None:
        """The version that `earlier` holds."""
        return msgspec.json.decode(self.earlier, type=Previous) if self.earlier else None


@dataclass(frozen=True, slots=True)
class App:
    """An app that is installed, or on its way in or out. `archive`: its sha256. `step`: what was begun last. `error`: why
    it is FAILED or PAUSED, or an upgrade was taken back. `signer`: JSON. `installed_at`: when it was first tried; all
    tries up to its removal have the same. `forget`: its data goes with it. `limits`: those that the owner has changed. `paused`: why it
    was PAUSED when an upgrade began that is not through yet."""

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

    @property
    def resources(self) -> Resources:
        """How much of the machine it may use."""
        return msgspec.structs.replace(self.manifest.resources, **self.limits)

    @property
    def title(self) -> str:
        return self.manifest.title or self.name

    @property
    def web(self) -> bool:
        return self.manifest.run is not None and self.manifest.run.web


def app_ref(name: str) -> Ref:
    return Ref("core", "App", name)


def app_values(manifest: Manifest, archive: str, schema: str, catalog: str) -> dict[str, Any]:
    """The fields of an app's node that follow from its archive; None takes away what another one left there."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title or None,
        "description": manifest.description or None,
        "manifest": msgspec.json.encode(manifest).decode(),
        "schema": schema or None,
        "catalog": catalog,
        "archive": archive,
        "web": bool(manifest.run and manifest.run.web),
    }


def app_from_row(row: Mapping[str, Any]) -> App:
    """The app that a row of `ALL_APPS` holds; raises `Corrupt`."""
    try:
        manifest = msgspec.json.decode(row["manifest"], type=Manifest)
        state = AppState(row["state"])
        previous = msgspec.json.decode(row["previous"], type=Previous) if row.get("previous") else None
        limits = limits_from_json(row.get("limits") or "")
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise Corrupt(f"the stored node of the app {row['id']} can't be read: {error}") from error
    return App(
        name=row["id"],
        version=row["version"],
        state=state,
        manifest=manifest,
        archive=row["archive"],
        nkey=row.get("nkey") or "",
        error=row.get("error") or "",
        installed_at=row.get("installedAt") or "",
        step=row.get("step") or "",
        previous=previous,
        signer=row.get("signer") or "",
        forget=bool(row.get("forget")),
        limits=limits,
        paused=row.get("paused") or "",
    )
