"""A browser that has signed in: the entity `core/Session`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pcloud.errors import Corrupt
from projections.directory.time import seconds_of

__all__ = ["Session", "read_session"]


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of one browser, at core's origin and those of the apps. `person`: who signed in. `credential`: that
    person's at the time (`Owner.credential`). `browser`, `device`: in words, from what the browser said about itself.
    `created`, `seen`, `expires`, `ended`: unix seconds; `seen` is coarse, `ended` 0 unless it was ended explicitly."""

    id: str
    person: str
    credential: str
    browser: str
    device: str
    created: float
    seen: float
    expires: float
    ended: float = 0.0


def read_session(id: str, fields: Mapping[str, Any]) -> Session:
    """The session in its entity's fields; raises `Corrupt`."""
    try:
        created = seconds_of(fields["createdAt"])
        return Session(
            id=id,
            person=fields["person"],
            credential=fields["credential"],
            browser=fields["browser"],
            device=fields["device"],
            created=created,
            seen=seconds_of(fields.get("seenAt")) or created,
            expires=seconds_of(fields["expiresAt"]),
            ended=seconds_of(fields.get("endedAt")),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Corrupt(f"the stored record of the session {id} can't be read: {error}") from error
