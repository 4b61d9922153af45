"""When backups are made, and with what: `backup-schedule.json` in the data folder.

It holds the passphrase and the keys to S3, because the node works while its owner sleeps: only the owner of the folder can read the
file, and it is in no backup.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from core.node.backups.known import Known
from pcloud.errors import Rejected, Unavailable

__all__ = ["Schedule", "check_time", "next_at", "next_step", "planned", "read_schedule", "write_schedule"]

FILE = "backup-schedule.json"
DAY = 86400.0
SUNDAY = 6

TIME = r"([01]?\d|2[0-3]):[0-5]\d"
TimeOfDay = Annotated[str, msgspec.Meta(pattern=f"^{TIME}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Schedule(msgspec.Struct, frozen=True):
    """`at`: HH:MM, local time; a week's backup is made on Sunday. `verify_days`: the newest backup is proven once the last proven one
    is so much older. `keep_daily`, `keep_weekly`, `keep_monthly`: of so many days, weeks and months the last backup is kept."""

    place: str
    passphrase: str
    keys: dict[str, str] = {}
    plain_http: bool = False
    every: Literal["day", "week"] = "day"
    at: TimeOfDay = "03:30"
    verify_days: Count = 7
    keep_daily: Count = 7
    keep_weekly: Count = 4
    keep_monthly: Count = 12


def check_time(text: str) -> str:
    """Return it as HH:MM. Raises `Rejected`."""
    if not re.fullmatch(TIME, text):
        raise Rejected(f"{text!r} is no time of day: write it as --at 03:30")
    return text.zfill(5)


def planned(schedule: Schedule, now: float) -> float:
    """When the newest backup that is planned before `now` should begin. Both are seconds since 1970."""
    moment = datetime.fromtimestamp(now)
    hour, minute = map(int, schedule.at.split(":"))
    at = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if schedule.every == "week":
        at -= timedelta((moment.weekday() - SUNDAY) % 7)
    if at > moment:
        at -= timedelta(7 if schedule.every == "week" else 1)
    return at.timestamp()


def next_at(schedule: Schedule, now: float) -> float:
    """When the next backup is planned: seconds since 1970."""
    step = 7 if schedule.every == "week" else 1
    return planned(schedule, now + step * 86400)


def next_step(schedule: Schedule, known: Known, now: float) -> Literal["", "take", "verify"]:
    """What is due. A backup that was missed, or was cut, is due until it is made. `known`: of the schedule's place; its times
    from the future, of a clock that was wrong, count for nothing."""
    taken, proven = (0.0 if at > now else at for at in (known.taken, known.proven))
    if taken < planned(schedule, now):
        return "take"
    return "verify" if taken - proven >= schedule.verify_days * DAY and taken > proven else ""


def read_schedule(data: Path) -> Schedule | None:
    """None without one. Raises `Unavailable` if the file can't be read: then it has to be made again."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=Schedule)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or str(error)
    except msgspec.MsgspecError:
        why = "it is damaged"  # the library's words may show a part of the passphrase
    raise Unavailable(
        f"{data / FILE} can't be read: {why}; make the schedule again with `pcloud backup schedule PLACE`"
    )


def write_schedule(data: Path, schedule: Schedule | None) -> None:
    """None: backups are not made by themselves any more."""
    if schedule is None:
        (data / FILE).unlink(missing_ok=True)
        return
    part = data / f"{FILE}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(schedule))
        file.flush()
        owner = data.stat()
        if os.geteuid() != owner.st_uid:  # root made it for the user whose node it is
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fsync(file.fileno())
    part.replace(data / FILE)
