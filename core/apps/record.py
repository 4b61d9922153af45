"""How an installed app is written to the log, as the node `core/App`; `projections.directory` reads it."""

from __future__ import annotations

from typing import Any

import msgspec

from pcloud.manifest import Manifest
from pcloud.subject import Ref

__all__ = ["app_ref", "app_values"]


def app_ref(name: str) -> Ref:
    return Ref("core", "App", name)


def app_values(manifest: Manifest, archive: str, schema: str, catalog: str) -> dict[str, Any]:
    """The fields of an app's entity that follow from its archive; None clears what another version left in a field."""
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
