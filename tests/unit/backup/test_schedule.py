"""When a backup is due, and which notices the backups cause."""

from __future__ import annotations

import os
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.node.backups.conditions import backup_conditions
from core.node.backups.known import Known, remember
from core.node.backups.schedule import (
    Schedule,
    check_time,
    next_at,
    next_step,
    planned,
    read_schedule,
    write_schedule,
)
from core.node.backups.scheduled import ScheduledBackups
from core.node.folder import DataFolder
from pcloud.errors import Rejected, Unavailable

DAY = 86400.0
DAILY, WEEKLY = Schedule("/mnt/disk", "secret"), Schedule("/mnt/disk", "secret", every="week", at="23:00")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("schedule", "now", "last", "following"),
    [
        (DAILY, "2026-11-30 12:00", "2026-11-30 03:30", "2026-12-01 03:30"),
        (DAILY, "2026-11-30 03:29", "2026-11-29 03:30", "2026-11-30 03:30"),
        (DAILY, "2026-11-30 03:30", "2026-11-30 03:30", "2026-12-01 03:30"),
        (WEEKLY, "2026-11-30 12:00", "2026-11-29 23:00", "2026-12-06 23:00"),  # a Monday
        (WEEKLY, "2026-11-29 22:59", "2026-11-22 23:00", "2026-11-29 23:00"),
    ],
)
def test_backups_are_planned_in_local_time(schedule: Schedule, now: str, last: str, following: str) -> None:
    assert planned(schedule, at(now)) == at(last) and next_at(schedule, at(now)) == at(following)


def test_backup_is_due_until_it_is_made_and_then_its_proof() -> None:
    now = at("2026-11-30 12:00")
    due = planned(DAILY, now)
    assert next_step(DAILY, Known(), now) == "take"
    assert next_step(DAILY, Known(taken=due - 1, proven=due - 1), now) == "take", "it was missed"
    assert next_step(DAILY, Known(taken=due + 60), now) == "verify", "none is proven yet"
    assert next_step(DAILY, Known(taken=due + 60, proven=due + 60), now) == ""
    assert next_step(DAILY, Known(taken=due + 60, proven=due + 60 - 6 * DAY), now) == ""
    assert next_step(DAILY, Known(taken=due + 60, proven=due + 60 - 7 * DAY), now) == "verify"


def test_schedule_is_stored_for_its_owner_alone(tmp_path: Path) -> None:
    write_schedule(tmp_path, DAILY)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and read_schedule(tmp_path) == DAILY
    for damaged in (b"{", b'{"place": "/mnt/disk", "passphrase": "x", "at": "noon"}'):
        file.write_bytes(damaged)
        with pytest.raises(Unavailable, match="can't be read") as told:
            read_schedule(tmp_path)
        assert "secret" not in told.value.message
    write_schedule(tmp_path, None)
    assert list(tmp_path.iterdir()) == [] and read_schedule(tmp_path) is None


def test_schedule_that_root_makes_is_the_one_of_the_user_who_runs_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    write_schedule(tmp_path, DAILY)
    assert given == []
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    write_schedule(tmp_path, DAILY)
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]


def test_times_from_the_future_do_not_stop_the_backups() -> None:
    """The clock was wrong for a while."""
    now = at("2026-11-30 12:00")
    later = now + 365 * DAY
    assert next_step(DAILY, Known(taken=later, proven=later), now) == "take"
    assert next_step(DAILY, Known(taken=now, proven=later), now) == "verify"
    assert next_step(DAILY, Known(taken=now, proven=now), now) == ""


def test_time_of_day_is_checked() -> None:
    assert (check_time("3:30"), check_time("23:59")) == ("03:30", "23:59")
    for wrong in ("24:00", "noon", "3", "03:60"):
        with pytest.raises(Rejected, match="no time of day"):
            check_time(wrong)


def kinds(backups: ScheduledBackups, now: float, *, has_apps: bool = True) -> list[str]:
    return [one.kind for one in backup_conditions(backups, now, has_apps=has_apps)]


def test_notices_say_what_the_backups_lack(tmp_path: Path) -> None:
    since: Any = None
    backups, now = ScheduledBackups(DataFolder(tmp_path), since), time.time()
    backups.cloud_since = now - DAY + 60
    assert kinds(backups, now) == [], "the cloud is younger than a day"
    backups.cloud_since = now - DAY
    assert kinds(backups, now) == ["backup-unproven"] and kinds(backups, now, has_apps=False) == []
    remember(tmp_path, "/mnt/disk", taken=now)
    assert kinds(backups, now) == ["backup-unproven"]
    remember(tmp_path, "/mnt/disk", proven=now)
    assert kinds(backups, now) == [] and kinds(backups, now + 14 * DAY) == ["backup-old"]
    backups.failure = "the backup failed: the disk of /mnt/disk is full"
    assert kinds(backups, now) == [], "it was of a schedule that ended"
    backups.schedule = DAILY
    (failed,) = backup_conditions(backups, now, has_apps=True)
    (tmp_path / "backup-schedule.json").write_text("{")
    backups.look()
    (unread,) = backup_conditions(backups, now, has_apps=True)
    assert unread.kind == "backup-failed" and "can't be read" in unread.text
    remember(tmp_path, "/mnt/disk", proven=now + 30 * DAY)
    assert kinds(backups, now) == ["backup-failed", "backup-unproven"], "that time is not yet"
    assert "is full" in failed.text and "/mnt/disk" in failed.advice and "secret" not in repr(failed)
