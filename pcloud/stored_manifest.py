"""Converts a manifest that an earlier PCloud stored to today's shape when it is read.

An init action once handed an action over as text, `webhook: "action:image-importer/new-object"`; today it is `webhook:
{action: image-importer/new-object}`. Today's manifests can't hold such a text there (`pcloud.manifest_rules`), so a
manifest that does is an old one, and the owner saw in its review what it hands over. In a trigger, it is just text.

An object storage once chose the port of its S3 address itself, unless its setting `s3_port` named one; today it
publishes the port (`run.ports`), and PCloud chooses the number. A store that has the setting is given that number there.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pcloud.manifest import Init, Manifest

__all__ = ["given_as_text", "ports_by_setting", "upcast_manifest"]

ROLE, PORT = "object-storage", "s3"

_GIVEN = re.compile(r"action:([a-z0-9-]+/[a-z0-9-]+)")


def upcast_manifest(manifest: Manifest) -> Manifest:
    """The manifest in today's shape; returned unchanged if it already has that shape."""
    if any(given_as_text(value) for init in manifest.init for value in init.args.values()):
        manifest = msgspec.structs.replace(manifest, init=[_upcast_init(init) for init in manifest.init])
    if manifest.run and not manifest.run.ports and ROLE in manifest.provides and f"{PORT}_port" in manifest.settings:
        manifest = msgspec.structs.replace(manifest, run=msgspec.structs.replace(manifest.run, ports=[PORT]))
    return manifest


def ports_by_setting(manifest: Manifest) -> dict[str, str]:
    """The ports whose number the app reads from a setting, with its name. Such an app gives others addresses at 127.0.0.1."""
    ports = manifest.run.ports if manifest.run else []
    return {port: setting for port in ports if (setting := f"{port}_port") in manifest.settings}


def given_as_text(value: Any) -> str:
    """The `app/action` of an init action's argument in the earlier text form; '' for any other value."""
    match = _GIVEN.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else ""


def _upcast_init(init: Init) -> Init:
    args = {
        name: {"action": action} if (action := given_as_text(value)) else value for name, value in init.args.items()
    }
    return msgspec.structs.replace(init, args=args)
