"""A change that a writer wants to make to one entity, in stored names, before it is staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pcloud.subject import Ref

__all__ = ["EntityChange"]


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One change.

    `kind`: `add` (refused if the entity exists, unless the writer's adds also update), `update` (refused if it does not exist), `upsert`
    (either), `ensure` (add, or leave as it is), `delete` (nothing if it does not exist).
    `set`: scalars; None removes the value. `link`, `unlink`: ids by relation field, named from either end; `link` adds to a relation
    to many and replaces a relation to one. `clear`: relation fields to empty. `discard`: values to remove if they are the stored ones
    (from a list: its members). `seen`: the version on which the writer decided; if it has changed, the writer decides again.
    `must_not_exist`: an `add` is refused even where adds may update. `fresh`: the id was drawn for this change and cannot exist yet;
    otherwise the log refuses the event, which expects an empty subject.
    """

    ref: Ref
    kind: Literal["add", "update", "upsert", "ensure", "delete"]
    set: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unset: Sequence[str] = ()
    link: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    unlink: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    must_not_exist: bool = False
    clear: Sequence[str] = ()
    discard: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seen: int | None = None
    fresh: bool = False
