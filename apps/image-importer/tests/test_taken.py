"""The instant and the zone of a photo."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_importer.taken import Taken, taken_from_exif, taken_from_xmp

# A busy machine is not a failure.

ORIGINAL, DIGITIZED, DATETIME = 0x9003, 0x9004, 0x0132
OFFSET, OFFSET_ORIGINAL, SUBSECOND = 0x9010, 0x9011, 0x9291
NOON = "2024:05:01 12:00:00"
GPS_AT_TEN = {7: (10.0, 0.0, 5.0), 29: "2024:05:01"}


@pytest.mark.parametrize(
    ("tags", "gps", "taken"),
    [
        ({ORIGINAL: NOON, OFFSET_ORIGINAL: "+02:00"}, {}, Taken("2024-05-01T10:00:00.000Z", "+02:00")),
        ({ORIGINAL: NOON, OFFSET: "-03:30"}, {}, Taken("2024-05-01T15:30:00.000Z", "-03:30")),
        ({ORIGINAL: NOON, OFFSET_ORIGINAL: "Z"}, {}, Taken("2024-05-01T12:00:00.000Z", "+00:00")),
        ({ORIGINAL: NOON, SUBSECOND: "25"}, {}, Taken("2024-05-01T12:00:00.250Z", None)),
        ({ORIGINAL: NOON, SUBSECOND: "   "}, {}, Taken("2024-05-01T12:00:00.000Z", None)),
        ({ORIGINAL: NOON}, GPS_AT_TEN, Taken("2024-05-01T10:00:00.000Z", "+02:00")),
        ({ORIGINAL: "2024:05:01 03:29:50"}, GPS_AT_TEN, Taken("2024-05-01T09:59:50.000Z", "-06:30")),
        ({ORIGINAL: "2024:05:01 12:07:00"}, GPS_AT_TEN, Taken("2024-05-01T12:07:00.000Z", None)),  # an old fix
        ({ORIGINAL: "2024:05:09 12:00:00"}, GPS_AT_TEN, Taken("2024-05-09T12:00:00.000Z", None)),
        ({ORIGINAL: NOON, OFFSET_ORIGINAL: "+99:00"}, {}, Taken("2024-05-01T12:00:00.000Z", None)),
        ({ORIGINAL: NOON, OFFSET_ORIGINAL: "+01:00"}, GPS_AT_TEN, Taken("2024-05-01T11:00:00.000Z", "+01:00")),
        ({ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: NOON}, {}, Taken("2024-05-01T12:00:00.000Z", None)),
        ({ORIGINAL: "    :  :     :  :  "}, {}, None),
        ({ORIGINAL: "2024:02:31 12:00:00"}, {}, None),
        ({DATETIME: NOON}, {}, None),  # set by editors
        ({}, GPS_AT_TEN, Taken("2024-05-01T10:00:05.000Z", None)),
        ({}, {7: (25.0, 0.0, 0.0), 29: "2024:05:01"}, None),
        ({}, {}, None),
    ],
)
def test_a_time_has_its_zone_or_none(tags: dict[int, object], gps: dict[int, object], taken: Taken | None) -> None:
    assert taken_from_exif(tags, gps) == taken


@pytest.mark.parametrize(
    ("date", "taken"),
    [
        ("2024-05-01T12:00:00+02:00", Taken("2024-05-01T10:00:00.000Z", "+02:00")),
        ("2024-05-01T12:00:00.5", Taken("2024-05-01T12:00:00.500Z", None)),
        ("2024-05-01T12:00Z", Taken("2024-05-01T12:00:00.000Z", "+00:00")),
        ("2024-05-01", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
    ],
)
def test_an_xmp_date_brings_its_zone(date: str | None, taken: Taken | None) -> None:
    assert taken_from_xmp(date) == taken


@given(st.datetimes(min_value=datetime(1900, 1, 1)), st.integers(-12 * 4, 14 * 4))
def test_satellites_tell_every_zone(local: datetime, quarters: int) -> None:
    try:
        utc = local.replace(microsecond=0) - timedelta(minutes=15 * quarters)
    except OverflowError:
        return
    gps = {7: (float(utc.hour), float(utc.minute), float(utc.second)), 29: f"{utc.year:04}:{utc.month:02}:{utc.day:02}"}
    taken = taken_from_exif({ORIGINAL: local.strftime("%Y:%m:%d %H:%M:%S")}, gps)
    assert taken is not None
    assert taken.at == utc.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert taken.zone is not None


@given(st.text(max_size=30), st.text(max_size=8))
def test_no_text_is_an_error(value: str, offset: str) -> None:
    taken_from_exif({ORIGINAL: value, OFFSET_ORIGINAL: offset}, {29: value, 7: (1, 2, 3)})
    taken_from_xmp(value)
