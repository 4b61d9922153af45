"""Pages of the audit log, newest first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from core.access.audit.read import read_audit
from pcloud.errors import Rejected


class Records:
    """A stream whose first records are already gone."""

    def __init__(self, records: list[dict[str, Any]], oldest: int = 7) -> None:
        self.records = dict(enumerate(records, oldest))
        self.oldest = oldest

    async def audit_range(self) -> tuple[int, int]:
        return self.oldest, self.oldest + len(self.records) - 1

    async def audit_records(
        self, first: int, last: int, kind: str = ""
    ) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]:
        for sequence in range(first, last + 1):
            if not kind or self.records[sequence]["kind"] == kind:
                yield sequence, self.records[sequence]


def records(count: int) -> Records:
    apps = ("photos", "faces", "store")
    return Records([
        {"kind": "bus" if number % 5 == 0 else "call", "actor": f"app:{apps[number % 3]}", "target": "store/put", "n": number}
        for number in range(count)
    ])  # fmt: skip


async def test_pages_follow_each_other_without_gap_or_double() -> None:
    store, found, after = records(2500), [], ""
    while True:
        page = await read_audit(store, first=400, after=after)
        found += [record["n"] for record in page.records]
        if page.after is None:
            break
        after = page.after
    assert found == list(range(2499, -1, -1))


async def test_page_has_an_apps_own_calls_and_calls_to_it() -> None:
    store = records(30)
    assert {record["actor"] for record in (await read_audit(store, app="faces")).records} == {"app:faces"}
    assert len((await read_audit(store, app="store")).records) == 30
    assert [record["n"] for record in (await read_audit(store, app="photos", kind="bus")).records] == [15, 0]


async def test_an_empty_log_has_no_records_and_nonsense_is_refused() -> None:
    assert (await read_audit(Records([]), first=5)).records == []
    for wrong in ({"first": 0}, {"first": 10_000}, {"after": "yesterday"}):
        with pytest.raises(Rejected):
            await read_audit(records(3), **wrong)  # type: ignore[arg-type]


async def test_a_record_of_before_people_had_ids_is_read_as_todays() -> None:
    old = {"kind": "call", "actor": "owner", "eyes": "photos", "target": "store/put"}
    new = {"kind": "call", "actor": "person:owner", "through": "photos", "target": "store/put"}
    found = (await read_audit(Records([old, new]), app="photos")).records
    assert [{**record, "id": ""} for record in found] == [{**new, "id": ""}] * 2
