"""The log's server stops answering, or is killed again and again, while clients write: the node says so, refuses at once, and goes on
by itself. Nothing acknowledged is lost, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest

from core.apps import packed
from pcloud.errors import Unavailable
from tests.crashes.quick_node import QuickNode
from tests.crashes.test_node_kill import process_of
from tests.crashes.writers import CLIENTS, Writers, writing
from tests.node_process import NodeProcess
from tests.waiting import wait_until

NOTES = "{ queryEcho_Note(first: 1000, offset: %d) { id text } }"
REPLIES = "{ queryEcho_Reply(first: 1000, offset: %d) { note } }"
BEGAN, OVER = "pcloud.log: the log's server has not answered", "pcloud.log: the log's server answers again"
MANY = 20
KILLS = 9


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with QuickNode(tmp_path_factory.mktemp("stall") / "node") as node:
        node.install_archive(packed(Path(__file__).parent / "echo").data)
        yield node


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, what="the end of its last steps")
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the node has ended it
            os.kill(pid, signal.SIGCONT)


def rows(node: NodeProcess, query: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while page := next(iter(node.graphql(query % len(found)).values())):
        found += page
    return found


def told(node: NodeProcess, words: str) -> int:
    return node.log.read_text().count(words)


def health(node: NodeProcess) -> int:
    try:
        with urlopen(f"{node.address}/healthz", timeout=60) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def check_refused_at_once(node: NodeProcess, writers: Writers) -> None:
    """While the server is known to be silent."""
    before = len(writers.refused)
    wait_until(lambda: len(writers.refused) >= before + MANY, what="refusals")
    # The first ones may have been asked before the silence was known. Those after them waited for nothing: after waiting in vain, the
    # message would say that the outcome is unknown.
    assert all(
        one.startswith("the log's server has not answered") for one in writers.refused[before + CLIENTS : before + MANY]
    )
    failed = node.cli("call", "echo/hello", check=False)
    assert failed.returncode != 0 and "has not answered" in failed.stderr
    with pytest.raises(Unavailable, match="has not answered"):
        node.graphql('mutation { callAction(app: "echo", action: "hello") }')
    assert node.graphql("{ queryEcho_Note(first: 1) { id } }")["queryEcho_Note"]
    status = node.status()
    assert "has not answered" in status["problem"] and health(node) == 503


def check_complete(node: NodeProcess, writers: Writers) -> None:
    """Each acknowledged note is there once and has one reply; no run has failed."""
    notes = rows(node, NOTES)
    assert {text for text, count in Counter(note["text"] for note in notes).items() if count > 1} == set()
    assert {note["text"] for note in notes} >= set(writers.stored)
    ids = {note["id"] for note in notes}
    wait_until(lambda: len(rows(node, REPLIES)) >= len(ids), what="a reply to each note")
    assert Counter(reply["note"] for reply in rows(node, REPLIES)) == Counter(ids)
    assert node.status()["runs"]["FAILED"] == 0 and writers.others == []
    assert node.json("graph", "verify", "--json")["equal"]


def stall(node: NodeProcess, seconds: float) -> None:
    """Stop the log's server for at least `seconds` while clients write."""
    begun = told(node, OVER)
    with writing(node) as writers:
        wait_until(lambda: len(writers.stored) > MANY or writers.others, what="notes before")
        assert writers.others == []
        with stopped(process_of(node, "nats-server")):
            began = time.monotonic()
            wait_until(lambda: "has not answered" in node.status()["problem"], what="the problem")
            lines = told(node, BEGAN)
            check_refused_at_once(node, writers)
            wait_until(lambda: time.monotonic() - began >= seconds, what="the end of the stall")
            assert told(node, BEGAN) <= lines + 1  # it may have fallen silent just before, on a busy machine
        wait_until(lambda: not node.status()["problem"], what="the end of the problem")
        before = len(writers.stored)
        wait_until(lambda: len(writers.stored) > before + MANY or writers.others, what="notes after")
        assert writers.others == []
    assert node.process.poll() is None
    wait_until(lambda: health(node) == 200, what="the node's health")
    check_complete(node, writers)
    wait_until(lambda: told(node, BEGAN) == told(node, OVER) > begun, what="a line for the end of each silence")


def test_stopped_log_server_ends_nothing_and_loses_nothing(node: NodeProcess) -> None:
    stall(node, 0)


def test_log_server_killed_again_and_again_ends_nothing(node: NodeProcess) -> None:
    with writing(node) as writers:
        for _ in range(KILLS):
            before = len(writers.stored)
            wait_until(lambda before=before: len(writers.stored) > before, what="a note")
            os.kill(process_of(node, "nats-server"), signal.SIGKILL)
    assert node.process.poll() is None
    wait_until(lambda: not node.status()["problem"], what="the end of the problem")
    check_complete(node, writers)


def test_node_can_be_stopped_while_the_log_server_is_silent(node: NodeProcess) -> None:
    with stopped(process_of(node, "nats-server")):
        wait_until(lambda: "has not answered" in node.status()["problem"], what="the problem")
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(120) == 0
    node.start()
    assert node.json("graph", "verify", "--json")["equal"]


@pytest.mark.long
def test_log_server_stopped_for_a_hundred_seconds_ends_nothing(tmp_path: Path) -> None:
    with QuickNode(tmp_path / "node") as node:
        node.install_archive(packed(Path(__file__).parent / "echo").data)
        stall(node, 100)
