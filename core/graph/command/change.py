"""What a writer wants done to one entity, in stored names, before it is known what that comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pcloud.subject import Ref

__all__ = ["NodeChange"]


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One wish.

    `kind`: `add` (refused when it exists, unless the writer's adds also update), `update` (refused when it does not exist), `upsert`
    (either), `ensure` (add, or leave as it is), `delete` (nothing when it does not exist).
    `set`: scalars; None takes the value away. `link`, `unlink`: ids by relation field, named from either end; `link` adds to a relation
    to many and replaces one to one. `clear`: relation fields to empty. `discard`: values to take away where they are what is stored
    (from a list: its members). `seen`: the version at which the writer decided; another one now means to decide again.
    `must_not_exist`: an `add` is refused even where adds may update. `fresh`: the id was drawn for this very change, so that nobody can
    have it; the log, which is told that there was nothing, would refuse it.
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
