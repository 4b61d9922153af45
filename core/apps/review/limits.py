"""How much of the machine an app may use: the manifest's limits, unless the owner has set others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pcloud.errors import Rejected
from pcloud.manifest import Resources
from pcloud.manifest_rules import BOUNDLESS, LIMITS
from projections.directory import Directory

__all__ = ["COUNTS", "changed_limits", "graph_allowance", "more_room", "size"]

COUNTS = frozenset({"processes", "files"})
UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def changed_limits(limits: Mapping[str, int], changes: Mapping[str, Any]) -> dict[str, int]:
    """Return the owner's limits after these changes: None restores the manifest's value, 0 of disk, graph or
    files means unlimited. Raises `Rejected` for an unknown limit or an impossible value."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise Rejected(f"there is no limit {name!r}: use {', '.join(LIMITS)}")
        least, most = LIMITS[name]
        if value is None or (name in BOUNDLESS and type(value) is int and value == 0):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            number = "whole number" if name in COUNTS else "whole number of bytes"
            bounds = f"from {_said(name, least)} to {_said(name, most)}"
            raise Rejected(f"the limit {name} is {_said(name, value)}: use a {number} {bounds}")
    return {name: value for name, value in {**limits, **changes}.items() if value is not None}


def graph_allowance(directory: Directory, name: str) -> int:
    """Bytes that the app may write to the graph; 0: unlimited."""
    app = directory.records.apps.get(name)
    return (app.resources if app is not None else Resources()).graph


def more_room(app: str) -> str:
    """What the owner can do if an app's folder is full."""
    return f"give it more room with `pcloud app limits {app} --disk SIZE`, or make some, then resume it"


def size(count: int) -> str:
    """Format bytes for people."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def _said(limit: str, value: Any) -> str:
    """In the units of the command's options; a value that is not a whole number as it was sent."""
    counts = isinstance(value, int) and not isinstance(value, bool)
    return size(value) if counts and limit not in COUNTS else repr(value)
