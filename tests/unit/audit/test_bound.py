"""RefusalLimit must not push everything else out of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.access.audit.log import Audit


async def test_flood_of_refusals_becomes_few_records_and_one_count() -> None:
    written: list[Mapping[str, Any]] = []

    async def write(record: Mapping[str, Any]) -> None:
        written.append(record)

    async with Audit.open(write) as audit:
        for number in range(5000):
            audit.refused("bus", "app:loud", f"graph.{number}", "may not publish there")
        audit.refused("bus", "app:quiet", "graph.a", "may not publish there")
        audit.refused("limit", "app:loud", "memory", "used too much")
        await audit.record({"kind": "call", "actor": "app:loud", "outcome": "OK"})
    loud = [record for record in written if record["kind"] == "bus" and record["actor"] == "app:loud"]
    assert len(loud) < 100 and sum(record.get("count", 1) for record in loud) == 5000
    others = [(record["kind"], record["actor"]) for record in written if record not in loud]
    assert others == [("bus", "app:quiet"), ("limit", "app:loud"), ("call", "app:loud")]


async def test_long_texts_that_somebody_else_chose_are_cut() -> None:
    written: list[Mapping[str, Any]] = []

    async def write(record: Mapping[str, Any]) -> None:
        written.append(record)

    async with Audit.open(write) as audit:
        audit.refused("api", "app:loud", "x" * 10**6, "y" * 10**6)
    assert all(len(str(value)) < 1000 for value in written[0].values())
