"""One app as its page in the console shows it: grants in words, its recorded steps, its triggers, and what a rollback would lose."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.apps.life.parts import AppParts
from core.apps.life.upgrade import Upgrades
from core.apps.record import app_ref
from core.apps.review.review import worded
from core.apps.review.words import words_of
from pcloud.event import StoredEvent
from projections.directory import App

__all__ = ["detail_of"]

# Number of steps shown, the newest.
STEPS = 200
SHOWN = ("version", "state", "step", "error")


async def detail_of(app: App, parts: AppParts, upgrades: Upgrades) -> dict[str, Any]:
    grants = parts.registry.grants(app.name)
    before = app.previous
    words = words_of({one.name: one.manifest for one in parts.registry.all()}, parts.registry.types())
    return {
        "description": app.manifest.description,
        "archive": app.archive,
        "limits": msgspec.to_builtins(app.resources),
        "limits_asked": msgspec.to_builtins(app.manifest.resources),
        "used": {"graph": parts.core.graph_quota.used(app.name)},
        "installed_at": app.installed_at,
        "signer": msgspec.json.decode(app.signer) if app.signer else None,
        "actions": [
            {"name": one.name, "args": one.args, "description": one.description} for one in app.manifest.actions
        ],
        "triggers": await parts.core.processor.triggers(app.name),
        "grants": worded(grants, words),
        "previous": before
        and {
            "version": before.version,
            "archive": before.archive,
            "at": before.at,
            "lost": await upgrades.losses(app),
        },
        "history": await history_of(app, parts),
    }


async def history_of(app: App, parts: AppParts) -> list[dict[str, Any]]:
    """Return the newest steps from the log, oldest first."""
    ref = app_ref(app.name)
    last = await parts.core.store.last_event(ref)
    found: deque[dict[str, Any]] = deque(maxlen=STEPS)
    if last is not None:
        async for event in parts.core.store.read(1, last.sequence, subjects=(ref.subject,)):
            if entry := _entry(event):
                found.append(entry)
    return list(found)


def _entry(event: StoredEvent) -> dict[str, Any]:
    said = {name: event.change.set[name] for name in SHOWN if name in event.change.set}
    if not said:
        return {}
    time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": time, "sequence": event.sequence, "actor": event.actor, **said}
