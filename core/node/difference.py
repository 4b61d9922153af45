"""Compares two graphs page by page and names the first thing in which they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["first_difference"]

_PARTS = ("fields", "links")


def first_difference(section: str, graph: Mapping[str, Any], log: Mapping[str, Any]) -> dict[str, Any] | None:
    """Compare the same page of the graph and of the log's fold: return `{"entity", "field", "graph", "log"}`, or None if they are equal."""
    if graph == log:
        return None
    for key in sorted({*graph, *log}):
        mine, theirs = graph.get(key), log.get(key)
        if mine == theirs:
            continue
        entity = key if section in ("tombstones", "transactions") else f"{section}/{key}"
        field, one, other = _field(mine, theirs)
        what = {"tombstones": "deleted at", "transactions": "transaction"}.get(section, field)
        return {"entity": entity, "field": what, "graph": one, "log": other}
    return None


def _field(mine: Any, theirs: Any) -> tuple[str, Any, Any]:
    """Return the name of the first field that differs, and both values; '' if the whole entity is missing on one side."""
    if type(mine) is not dict or type(theirs) is not dict:
        return "", mine, theirs  # pyright: ignore[reportUnknownVariableType]
    ours, logged = cast("dict[str, Any]", mine), cast("dict[str, Any]", theirs)
    for part in _PARTS:
        one: dict[str, Any] = ours.get(part, {})
        other: dict[str, Any] = logged.get(part, {})
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                return name, one.get(name), other.get(name)
    return "_version", ours.get("version"), logged.get("version")
