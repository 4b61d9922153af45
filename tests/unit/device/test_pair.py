"""A device may do only what it was paired for."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.caller import OWNER, Caller
from core.graph.command import EntityChange
from core.graph.schema import builtin_catalog
from core.people.device.pair import Devices, checked_scopes
from core.people.device.seen import LastSeen
from core.people.owner.credential import token_hash
from pcloud.errors import Rejected
from pcloud.subject import Ref
from projections.directory import Directory, Records
from tests.memory_log import open_memory_directory


def devices(**more: Any) -> Devices:
    """One device, as folded from the log."""
    fields = {"name": "phone", "state": "active", "tokenHash": token_hash("t"), **more}
    records = Records().after([Ref("core", "Device", "d")], lambda ref: fields)
    directory = Directory(builtin_catalog())
    directory.records = records
    return Devices(directory, None, None, LastSeen(directory, None))  # type: ignore[arg-type]


def test_a_device_of_before_there_were_scopes_may_do_everything() -> None:
    assert devices().by_token("t") == Caller("device", "d", scopes=frozenset({"manage"}))


def test_a_device_has_the_scopes_that_it_was_paired_for() -> None:
    assert devices(scopes=["view"]).by_token("t") == Caller("device", "d", scopes=frozenset({"view"}))


def test_a_token_for_metrics_is_no_device_that_may_ask() -> None:
    assert devices(rights="metrics").by_token("t") is None


@pytest.mark.parametrize("scopes", [[], ["all"], ["view", "delete"], "view", [""]])
def test_there_are_three_scopes_and_no_device_without_one(scopes: Any) -> None:
    with pytest.raises(Rejected, match="view, upload, manage"):
        checked_scopes(scopes)
    assert checked_scopes(["upload", "view", "view"]) == ["view", "upload"]


async def test_devices_are_revoked_on_a_nearly_full_disk() -> None:
    """At the first start after a restore too, which may leave little room: otherwise the node would not start."""
    directory, commands, log = open_memory_directory()
    paired = Devices(directory, commands, None, LastSeen(directory, commands))  # type: ignore[arg-type]
    fields = {"name": "phone", "state": "active", "tokenHash": token_hash("t")}
    await commands.write(OWNER.actor, [EntityChange(Ref("core", "Device", "d"), "add", set=fields)])
    assert await paired.revoke_all() == 1 and paired.by_token("t") is None
    assert [tx.urgent for tx in log.transactions] == [False, True]
