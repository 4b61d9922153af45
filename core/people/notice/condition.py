"""What is so at this moment and a person should know: plain values from which notices are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["NoticeCondition", "Severity", "most_severe"]

Severity = Literal["problem", "warning", "info"]
_RANK = {severity: rank for rank, severity in enumerate(get_args(Severity))}


@dataclass(frozen=True, slots=True)
class NoticeCondition:
    """Two with the same `kind` and `about` (`node`, `app:NAME` or `device:ID`) are the same condition, whatever they say. `text`: what
    happened, in one sentence. `advice`: what can be done."""

    kind: str
    about: str
    text: str
    advice: str = ""
    severity: Severity = "problem"

    @property
    def id(self) -> str:
        """The id of its notice."""
        return hashlib.sha256(f"{self.kind} {self.about}".encode()).hexdigest()[:32]


def most_severe(conditions: Iterable[NoticeCondition], most: int) -> dict[str, NoticeCondition]:
    """By id, at most `most` of them; the same ones for the same conditions in any order."""
    found = {one.id: one for one in conditions}
    ordered = sorted(found.values(), key=lambda one: (_RANK[one.severity], one.kind, one.about))
    return {one.id: one for one in ordered[:most]}
