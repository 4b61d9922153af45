"""Lifts a manifest that was stored by an earlier PCloud to today's shape, on read.

An init action once handed an action over as a text, `webhook: "action:image-importer/new-object"`; today it is
`webhook: {action: image-importer/new-object}`. Today's manifests can't hold such a text there (`pcloud.manifest_rules`),
so one that does is of then, and the owner has read in its review what it hands over. Text in a trigger is text.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pcloud.manifest import Init, Manifest

__all__ = ["given_as_text", "upcast_manifest"]

_GIVEN = re.compile(r"action:([a-z0-9-]+/[a-z0-9-]+)")


def upcast_manifest(manifest: Manifest) -> Manifest:
    """The manifest in today's shape; one that has it already is returned as it is."""
    if not any(given_as_text(value) for init in manifest.init for value in init.args.values()):
        return manifest
    return msgspec.structs.replace(manifest, init=[_upcast_init(init) for init in manifest.init])


def given_as_text(value: Any) -> str:
    """`app/action` of an init action's argument as it was once written; '' for any other value."""
    match = _GIVEN.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else ""


def _upcast_init(init: Init) -> Init:
    args = {
        name: {"action": action} if (action := given_as_text(value)) else value for name, value in init.args.items()
    }
    return msgspec.structs.replace(init, args=args)
