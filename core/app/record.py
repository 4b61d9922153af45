"""What the log knows of an installed app: the node `core/App`, read and written here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.graph.port import Select

__all__ = ["ALL_APPS", "APP_TYPE", "App", "AppState", "app_from_row", "app_ref", "app_values"]

APP_TYPE = "core/App"
FIELDS = ("id", "version", "state", "manifest", "archive", "nkey", "error", "installedAt")
ALL_APPS = Select(APP_TYPE, scalars=FIELDS)


class AppState(StrEnum):
    """INSTALLING and REMOVING are gone on with at the next start; FAILED waits for the owner."""

    INSTALLING = "INSTALLING"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    REMOVING = "REMOVING"


@dataclass(frozen=True, slots=True)
class App:
    """An app that is installed, or on its way in or out. `archive`: its sha256. `error`: why it is FAILED. `installed_at`: when
    it was first tried; all tries up to its removal have the same."""

    name: str
    version: str
    state: AppState
    manifest: Manifest
    archive: str
    nkey: str = ""
    error: str = ""
    installed_at: str = ""

    @property
    def title(self) -> str:
        return self.manifest.title or self.name

    @property
    def web(self) -> bool:
        return self.manifest.run is not None and self.manifest.run.web


def app_ref(name: str) -> Ref:
    return Ref("core", "App", name)


def app_values(manifest: Manifest, archive: str, schema: str, catalog: str, installed_at: str) -> dict[str, Any]:
    """The fields of a new app's node; None takes away what an earlier try left there."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title or None,
        "description": manifest.description or None,
        "state": AppState.INSTALLING.value,
        "manifest": msgspec.json.encode(manifest).decode(),
        "schema": schema or None,
        "catalog": catalog,
        "archive": archive,
        "web": bool(manifest.run and manifest.run.web),
        "installedAt": installed_at,
        "error": None,
    }


def app_from_row(row: Mapping[str, Any]) -> App:
    """The app that a row of `ALL_APPS` holds; raises `Corrupt`."""
    try:
        manifest = msgspec.json.decode(row["manifest"], type=Manifest)
        state = AppState(row["state"])
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
    )
