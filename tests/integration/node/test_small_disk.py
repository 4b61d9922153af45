"""A node on a disk of 400 MB, filled below the reserve: it says so, refuses what is new, and lets its owner make room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.own_disk import MB, MemoryDisk
from tests.waiting import wait_until

MAKE_ROOM = "delete something, such as an app with its data"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryDisk]:
    with MemoryDisk(tmp_path_factory.mktemp("n"), 400 * MB) as node:
        yield node


def problem(node: MemoryDisk) -> str:
    return node.status()["problem"]


def test_on_a_full_small_disk_the_owner_can_make_room(node: MemoryDisk) -> None:
    node.install("random-puppy")
    node.leave_free(120 * MB)
    wait_until(lambda: problem(node), what="the problem in the status")
    assert MAKE_ROOM in problem(node)
    node.cli("app", "pause", "random-puppy")
    node.cli("app", "remove", "random-puppy", "--forget", "--yes")
    refused = node.cli("app", "install", "random-puppy", "--yes", check=False)
    assert refused.returncode and MAKE_ROOM in refused.stderr
    node.free()
    wait_until(lambda: not problem(node), what="the end of the problem")
    node.install("random-puppy")


def test_log_that_met_a_full_disk_is_written_again_once_there_is_room(node: MemoryDisk) -> None:
    """nats-server itself refuses every write after that, until it is started again."""
    wait_until(lambda: accepted(node), what="a change before")
    before = (node.disk / "node" / "nats" / "nats.pid").read_text()
    node.leave_free(16 * 1024)
    wait_until(
        lambda: not accepted(node), what="a refused change"
    )  # the first one that the log could not write, or later
    node.free()
    wait_until(lambda: accepted(node), what=f"a change after; the node's log: {node.log.read_text()[-2000:]}")
    assert (node.disk / "node" / "nats" / "nats.pid").read_text() != before, "the log never met the full disk"
    assert node.json("graph", "verify", "--json")["equal"]


def accepted(node: MemoryDisk) -> bool:
    return node.cli("device", "pair", "--metrics", "--json", check=False).returncode == 0
