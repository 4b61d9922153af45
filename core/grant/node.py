"""How a grant is kept as a node of the graph: `core/Grant`, its id made of app, verb and target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.caller import Grant
from pcloud.subject import Ref
from projections.graph.port import Select

__all__ = ["ALL_GRANTS", "GRANT_TYPE", "grant_from_row", "grant_ref", "grant_values"]

GRANT_TYPE = "core/Grant"
FIELDS = ("id", "app", "verb", "target", "fields", "alias", "optional", "reason", "state")
ALL_GRANTS = Select(GRANT_TYPE, scalars=FIELDS)


def grant_ref(grant: Grant) -> Ref:
    return Ref("core", "Grant", grant.id)


def grant_values(grant: Grant) -> dict[str, Any]:
    """The node's fields; the manifest's `as` is stored as `alias`. None: has no value."""
    return {
        "app": grant.app,
        "verb": grant.verb,
        "target": grant.target,
        "fields": list(grant.fields) or None,
        "alias": grant.as_ or None,
        "optional": grant.optional,
        "reason": grant.reason or None,
        "state": grant.state,
    }


def grant_from_row(row: Mapping[str, Any]) -> Grant:
    """The grant that a row of `ALL_GRANTS` holds."""
    return Grant(
        app=row["app"],
        verb=row["verb"],
        target=row["target"],
        fields=tuple(row.get("fields") or ()),
        as_=row.get("alias") or "",
        optional=bool(row.get("optional")),
        reason=row.get("reason") or "",
        state=row["state"],
        id=row["id"],
    )
