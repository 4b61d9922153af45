"""One permission that an app asks for, and the owner's decision: the entity `core/Grant`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pcloud.manifest import Verb

__all__ = ["Grant", "read_grant"]


@dataclass(frozen=True, slots=True)
class Grant:
    """`fields`: other apps' fields on that type that it includes. `as_`: the type's name in the app's view. `id`: hash
    of app, verb and target."""

    app: str
    verb: Verb
    target: str
    fields: tuple[str, ...] = ()
    as_: str = ""
    optional: bool = False
    reason: str = ""
    state: Literal["pending", "approved", "rejected"] = "pending"
    id: str = field(default="", compare=False)

    @property
    def approved(self) -> bool:
        return self.state == "approved"


def read_grant(id: str, fields: Mapping[str, Any]) -> Grant:
    """The grant in its entity's fields; the manifest's `as` is stored as `alias`."""
    return Grant(
        app=fields["app"],
        verb=fields["verb"],
        target=fields["target"],
        fields=tuple(fields.get("fields") or ()),
        as_=fields.get("alias") or "",
        optional=bool(fields.get("optional")),
        reason=fields.get("reason") or "",
        state=fields["state"],
        id=id,
    )
