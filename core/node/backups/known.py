"""What this machine remembers of its backups, in the data folder: where they are, and when one was last proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

__all__ = ["KNOWN_FILES", "Known", "known_places", "remember"]

FILE = "backups.json"
KNOWN_FILES = (FILE, f"{FILE}.part")
MOST = 32


class Known(msgspec.Struct, frozen=True):
    """One place. `taken`: when its newest backup was; `proven`: when the newest one that `--verify` found whole was taken, 0
    without one. Seconds since 1970. `sequence`: the last one of the newest backup's log. `listed`: the digest of what is listed there as
    revoked and forgotten since."""

    taken: float = 0.0
    proven: float = 0.0
    sequence: int = 0
    listed: str = ""


def known_places(data: Path) -> dict[str, Known]:
    """By place. A file that can't be read is as good as none: it only warns."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=dict[str, Known])
    except (OSError, msgspec.MsgspecError):
        return {}


def remember(data: Path, place: str, **facts: Any) -> None:
    """Note facts on this place, for the places used last."""
    places = known_places(data)
    known = msgspec.structs.replace(places.pop(place, Known()), **facts)
    kept = dict(list(places.items())[-MOST + 1 :])
    part = data / f"{FILE}.part"
    part.write_bytes(msgspec.json.encode({**kept, place: known}))
    part.replace(data / FILE)
