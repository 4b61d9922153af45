"""The audit log, written in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.access.audit import Audit
from pcloud.errors import Unavailable


async def test_unwritable_record_does_not_block_later_ones() -> None:
    """Calls wait for the queue once it is full, so it must always be drained."""
    errors: list[Exception] = [Unavailable("the log is away"), UnicodeEncodeError("utf-8", "x", 0, 1, "surrogate")]
    written: list[Mapping[str, Any]] = []

    async def write(record: Mapping[str, Any]) -> None:
        if errors:
            raise errors.pop()
        written.append(record)

    async with Audit.open(write, waiting=1) as audit:
        for number in range(5):
            await audit.record({"kind": "call", "number": number})
    assert [record["number"] for record in written] == [2, 3, 4]
