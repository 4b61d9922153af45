"""How much of the machine an app may use: what its manifest asks for, unless the owner has said otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pcloud.errors import Rejected
from pcloud.manifest import Resources
from pcloud.manifest_rules import BOUNDLESS, LIMITS
from projections.directory import Directory

__all__ = ["changed_limits", "graph_allowance", "more_room", "size"]

UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def changed_limits(limits: Mapping[str, int], changes: Mapping[str, Any]) -> dict[str, int]:
    """The owner's limits after these changes: None is what the manifest says, 0 of disk and graph as much as there is. Raises
    `Rejected` for one that there is not, or that no app could have."""
    for name, value in changes.items():
        if name not in LIMITS:
            raise Rejected(f"there is no limit {name!r}: use {', '.join(LIMITS)}")
        least, most = LIMITS[name]
        if value is None or (name in BOUNDLESS and value == 0 and not isinstance(value, bool)):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            number = "whole number" if name == "processes" else "whole number of bytes"
            bounds = f"from {_said(name, least)} to {_said(name, most)}"
            raise Rejected(f"the limit {name} is {_said(name, value)}: use a {number} {bounds}")
    return {name: value for name, value in {**limits, **changes}.items() if value is not None}


def graph_allowance(directory: Directory, name: str) -> int:
    """Bytes that the app may write into the graph; 0 for no bound."""
    app = directory.records.apps.get(name)
    return (app.resources if app is not None else Resources()).graph


def more_room(app: str) -> str:
    """What the owner can do for an app whose folder is full."""
    return f"give it more room with `pcloud app limits {app} --disk SIZE`, or make some, then resume it"


def size(count: int) -> str:
    """Bytes, as people say them."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def _said(limit: str, value: Any) -> str:
    """In the units of `--memory`, `--disk` and `--graph`; what is no whole number as it was sent."""
    counts = isinstance(value, int) and not isinstance(value, bool)
    return size(value) if counts and limit != "processes" else repr(value)
