"""When a device was last heard of: at once in memory, once a day in the log."""

from __future__ import annotations

from core.graph.command import EntityChange
from core.people.device.seen import RECORD_SECONDS, LastSeen
from pcloud.subject import Ref
from tests.memory_log import open_memory_directory


async def test_a_day_of_requests_is_one_event_and_survives_a_restart() -> None:
    directory, commands, log = open_memory_directory()
    await commands.write(
        "owner", [EntityChange(Ref("core", "Device", "d"), "add", set={"name": "phone", "state": "active"})]
    )
    now = 1_800_000_000.0
    seen = LastSeen(directory, commands, lambda: now)
    device = lambda: directory.records.devices["d"]  # noqa: E731
    assert seen.seen(device()) == 0.0
    for _ in range(20):
        seen.note("d")
        seen.note("removed")
        await seen.record()
        now += 3600
    assert len(log.transactions) == 2 and seen.seen(device()) == now - 3600
    assert LastSeen(directory, commands).seen(device()) == 1_800_000_000.0
    now = 1_800_000_000.0 + RECORD_SECONDS
    seen.note("d")
    await seen.record()
    assert len(log.transactions) == 3 and LastSeen(directory, commands).seen(device()) == now
