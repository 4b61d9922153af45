"""The app against whose quota an actor counts."""

from __future__ import annotations

__all__ = ["charged"]

PLATFORM = "core"


def charged(actor: str) -> str:
    """Return the app that `actor` (as in an event's header) names; '' for people, devices and the platform, which have no quota."""
    sort, _, app = actor.partition(":")
    return app if sort == "app" and app != PLATFORM else ""
