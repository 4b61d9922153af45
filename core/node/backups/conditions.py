"""What a person should know of the backups."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.node.backups.scheduled import ScheduledBackups
from core.people.notice import NoticeCondition

__all__ = ["backup_conditions"]

DAY = 86400.0
OLD_DAYS = 14


def backup_conditions(backups: ScheduledBackups, now: float, *, has_apps: bool) -> Iterator[NoticeCondition]:
    """`now`: seconds since 1970. `has_apps`: there is something to lose. An owner who wants no backups dismisses `backup-unproven`."""
    schedule = backups.schedule
    if schedule is not None and backups.failure:
        place = schedule.place
        advice = f"PCloud tries again by itself. See that {place} can be reached and has room; `pcloud backup {place}` tries now."
        text = backups.failure[:1].upper() + backups.failure[1:]
        yield NoticeCondition("backup-failed", "node", text[:400], advice)
    elif backups.unreadable:
        text = f"No backups are made: {backups.unreadable}"
        advice = "Make the schedule again, as the user who runs the node: `pcloud backup schedule PLACE`."
        yield NoticeCondition("backup-failed", "node", text[:400], advice)
    proven = max((known.proven for known in backups.places.values() if known.proven <= now), default=0.0)
    again = (
        "Prove a newer one: `pcloud backup --verify PLACE`."
        if schedule
        else "Let PCloud do it: `pcloud backup schedule PLACE`."
    )
    if not proven:
        if has_apps and now - backups.cloud_since >= DAY:
            text = "No backup of this cloud was ever proven: what is in it would be lost with its disk."
            yield NoticeCondition(
                "backup-unproven", "node", text, f"{again} If you want no backups, dismiss this.", "warning"
            )
    elif now - proven >= OLD_DAYS * DAY:
        day = time.strftime("%Y-%m-%d", time.localtime(proven))
        yield NoticeCondition("backup-old", "node", f"The last proven backup is from {day}.", again, "warning")
