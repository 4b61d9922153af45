"""How a grant is written to the log: as an entity `core/Grant` with an id made of app, verb and target.

`projections.directory` reads it.
"""

from __future__ import annotations

from typing import Any

from pcloud.subject import Ref
from projections.directory import Grant

__all__ = ["grant_ref", "grant_values"]


def grant_ref(grant: Grant) -> Ref:
    return Ref("core", "Grant", grant.id)


def grant_values(grant: Grant) -> dict[str, Any]:
    """Return the node's fields; the manifest's `as` is stored as `alias`. None: the field has no value."""
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
