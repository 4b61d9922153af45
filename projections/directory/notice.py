"""Something that a person should know: the node `core/Notice`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pcloud.errors import Corrupt
from projections.directory.time import seconds_of

__all__ = ["Notice", "read_notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """`kind` and `about` (`node`, `app:NAME` or `device:ID`) tell it from others. `text`: what happened. `advice`: what can be done.
    `severity`: problem, warning or info. `since`, `ended`, `dismissed`: unix seconds, 0 if it has not ended or was not dismissed."""

    id: str
    kind: str
    about: str
    text: str
    advice: str
    severity: str
    since: float
    ended: float = 0.0
    dismissed: float = 0.0


def read_notice(id: str, fields: Mapping[str, Any]) -> Notice:
    """The notice in its node's fields; raises `Corrupt`."""
    try:
        return Notice(
            id=id,
            kind=fields["kind"],
            about=fields["about"],
            text=fields["text"],
            advice=fields.get("advice") or "",
            severity=fields["severity"],
            since=seconds_of(fields["since"]),
            ended=seconds_of(fields.get("endedAt")),
            dismissed=seconds_of(fields.get("dismissedAt")),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Corrupt(f"the stored record of the notice {id} can't be read: {error}") from error
