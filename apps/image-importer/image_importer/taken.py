"""When a photo was taken, as an instant and the zone of the place where the camera was.

A camera's clock gives a local time without a zone. In this order:
1. the zone that the file names (OffsetTimeOriginal, OffsetTime…) or that an XMP date carries;
2. the difference to the satellites' clock (GPSDateStamp and GPSTimeStamp are UTC), when it is near a multiple of a
   quarter of an hour, as every zone on Earth is;
3. none: the local time is kept as if it were UTC and the zone is None, so that the day and the hour shown are those
   that the camera's clock showed.
Never the time of the upload, and never the tag DateTime, which editors set when they save.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from .exif import number, text

__all__ = ["Taken", "taken_from_exif", "taken_from_xmp"]

ORIGINAL, DIGITIZED = 0x9003, 0x9004
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
SUBSECOND_ORIGINAL, SUBSECOND_DIGITIZED = 0x9291, 0x9292
GPS_TIME, GPS_DATE = 7, 29

_LOCAL = re.compile(r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)?")
_ZONE = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")
_QUARTER = timedelta(minutes=15)
_FIX_AGE = timedelta(minutes=3)  # how far the satellites' stamp may lag behind the shutter
_EARLIEST_YEAR = 1826  # the oldest photograph that is left


@dataclass(frozen=True)
class Taken:
    at: str  # 2024-05-01T10:00:00.000Z
    zone: str | None  # +02:00


def taken_from_exif(exif: Mapping[int, Any], gps: Mapping[int, Any]) -> Taken | None:
    """From the tags of the EXIF and of the GPS directory; None if neither has it."""
    stamp = _gps_instant(gps)
    for tag, offset_tag, subsecond_tag in (
        (ORIGINAL, OFFSET_ORIGINAL, SUBSECOND_ORIGINAL),
        (DIGITIZED, OFFSET_DIGITIZED, SUBSECOND_DIGITIZED),
    ):
        local = _local(text(exif.get(tag)), text(exif.get(subsecond_tag)))
        if local is not None:
            zone = _zone(text(exif.get(offset_tag))) or _zone(text(exif.get(OFFSET))) or _zone_from_gps(local, stamp)
            return _taken(local, zone)
    return _taken(stamp, None) if stamp is not None else None


def taken_from_xmp(value: str | None) -> Taken | None:
    """From an XMP date (ISO 8601), which may end in its zone. None for a bare day or year, which is not an instant."""
    if not value:
        return None
    local = _local(value.strip(), None)
    zone = _ZONE.search(value.strip())
    return _taken(local, _zone(zone.group(1)) if zone else None) if local is not None else None


def _taken(local: datetime, zone: timezone | None) -> Taken | None:
    instant = local.replace(tzinfo=zone or UTC)
    try:
        at = instant.astimezone(UTC)
    except OverflowError:
        return None
    return Taken(at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z", _name(zone))


def _name(zone: timezone | None) -> str | None:
    if zone is None:
        return None
    minutes = int(zone.utcoffset(None).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _local(value: str | None, subsecond: str | None) -> datetime | None:
    """A naive time; None for `0000:00:00 00:00:00`, blanks, and other ways in which a camera says that it does not
    know."""
    match = _LOCAL.match(value or "")
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    digits = match.group(7) or (subsecond or "").strip()
    fraction = int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdigit() else 0
    try:
        at = datetime(year, month, day, hour, minute, int(match.group(6) or 0), fraction)
    except ValueError:
        return None
    return at if year >= _EARLIEST_YEAR else None


def _zone(value: str | None) -> timezone | None:
    """`+02:00`, `-0330` or `Z` as a zone; None for anything else and beyond the existing zones."""
    match = _ZONE.fullmatch((value or "").strip())
    if match is None:
        return None
    if match.group(1) == "Z":
        return UTC
    digits = match.group(1)[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > timedelta(hours=14) or int(digits[2:]) > 59:
        return None
    return timezone(-offset if match.group(1)[0] == "-" else offset)


def _gps_instant(gps: Mapping[int, Any]) -> datetime | None:
    """The satellites' UTC as a naive time."""
    day = re.match(r"(\d{4})[:\-](\d{1,2})[:\-](\d{1,2})", text(gps.get(GPS_DATE)) or "")
    clock = gps.get(GPS_TIME)
    if day is None or not isinstance(clock, (tuple, list)) or len(clock) != 3:
        return None
    parts = [number(part) for part in clock]
    if any(part is None or part < 0 for part in parts):
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    try:
        start = datetime(*(int(part) for part in day.groups()))  # type: ignore[arg-type]
        return start + timedelta(hours=hours, minutes=minutes, seconds=seconds) if hours < 24 else None
    except ValueError:
        return None


def _zone_from_gps(local: datetime, stamp: datetime | None) -> timezone | None:
    if stamp is None:
        return None
    difference = local - stamp
    nearest = round(difference / _QUARTER) * _QUARTER
    if abs(difference - nearest) > _FIX_AGE or not timedelta(hours=-12) <= nearest <= timedelta(hours=14):
        return None
    return timezone(nearest)
