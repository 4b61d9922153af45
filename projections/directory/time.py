"""Times of core's own entities: RFC 3339 in the log, unix seconds in the records."""

from __future__ import annotations

from datetime import datetime

__all__ = ["seconds_of"]


def seconds_of(time: str | None) -> float:
    """Return unix seconds, 0 for no time. Raises `ValueError` or `TypeError`."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0
