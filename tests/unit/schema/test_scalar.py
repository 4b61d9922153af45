"""One spelling of each value on the log, for every writer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.graph.schema.scalar import canonical, canonical_datetime
from pcloud.errors import Rejected


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000Z"),
        ("2024-05-01t10:00:00.5z", "2024-05-01T10:00:00.500Z"),
        ("2024-05-01 10:00:00.123999+02:00", "2024-05-01T08:00:00.123Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(given_: str, stored: str) -> None:
    assert canonical_datetime(given_) == stored


@given(st.datetimes(), st.integers(-23 * 60, 23 * 60))
def test_a_time_keeps_its_moment_and_sorts_as_text(moment: datetime, minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        expected = zoned.astimezone(UTC)
    except OverflowError:
        return
    stored = canonical_datetime(zoned)
    assert len(stored) == 24
    assert datetime.fromisoformat(stored) == expected.replace(microsecond=expected.microsecond // 1000 * 1000)
    assert canonical_datetime(stored) == stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("DateTime", "2024-05-01"), ("DateTime", "2024-05-01T10:00:00"), ("DateTime", "2024-13-01T10:00:00Z"), ("DateTime", 3),
        ("DateTime", "9999-12-31T23:59:59-23:00"), ("DateTime", "٢٠٢٤-05-01T10:00:00Z"), ("Int", 2**31), ("Int", True), ("Int", "1"),
        ("Int", 1.5), ("Int64", 2**63), ("Int64", "1e3"), ("Int64", "٣"), ("Float", "1"), ("Float", float("nan")), ("Float", float("inf")),
        ("Float", 10**400), ("Boolean", 1), ("String", 1), ("ID", True), ("Enum", "C"),
    ],
)  # fmt: skip
def test_value_of_another_kind_is_refused_with_its_place(kind: str, value: Any) -> None:
    with pytest.raises(Rejected, match="here"):
        canonical(kind, value, ("A", "B"), place="here")


def test_numbers_take_their_kinds_form() -> None:
    assert canonical("Int64", "-9223372036854775808") == -(2**63)
    assert isinstance(canonical("Float", 3), float)
    assert canonical("Int", 3.0) == 3 and isinstance(canonical("Int", 3.0), int)
    assert canonical("ID", 7) == "7"
