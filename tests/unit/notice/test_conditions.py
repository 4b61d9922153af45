"""The conditions that become notices: which state of an app, a run or a device is one, and which is not."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace as replace_struct

import core.node.conditions
from core.apps import AppState
from core.graph.command import EntityChange
from core.node.conditions import (
    ADVICE,
    SILENT_SECONDS,
    UPDATED_SECONDS,
    app_conditions,
    failed_run_conditions,
    node_conditions,
    silent_conditions,
    update_conditions,
    updated_conditions,
    watch_conditions,
)
from core.node.data_version import DataVersion
from core.node.node import Node
from core.people.device.seen import LastSeen
from core.people.notice import NoticeBoard
from pcloud.subject import Ref
from projections.directory import Device
from tests.memory_log import open_memory_directory

NOW = 1_800_000_000.0


def app(**more: Any) -> Any:
    fields = {"name": "photos", "title": "Photos", "state": "RUNNING", "process": "running", "error": "", "reason": ""}
    return SimpleNamespace(**(fields | more))


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({}, ""),
        ({"process": "starting"}, ""),
        ({"process": "backing-off", "reason": "it ended with exit code 1"}, ""),  # it may work the next time
        ({"process": "failed", "reason": "it ended with exit code 1"}, "app-failing"),
        ({"state": "FAILED", "error": "no wheels"}, "app-failed"),
        ({"state": "PAUSED", "error": "you paused it"}, ""),
        ({"state": "PAUSED", "error": "its runs cause each other"}, "app-paused"),
        ({"error": "beyond its quota"}, "app-trouble"),
        ({"process": "degraded", "reason": "it can only read"}, "app-trouble"),
        ({"state": "INSTALLING"}, ""),
    ],
)
def test_only_an_app_that_needs_its_owner_is_a_condition(state: dict[str, str], kind: str) -> None:
    found = list(app_conditions([app(**state)]))
    assert [one.kind for one in found] == ([kind] if kind else [])
    for one in found:
        assert (
            one.about == "app:photos"
            and "Photos" in one.text
            and one.advice
            and (state.get("error") or state["reason"]) in one.text
        )


def test_an_error_that_quotes_an_app_is_short() -> None:
    (found,) = app_conditions([app(process="failed", reason="last words:\n" + "word " * 10_000)])
    assert len(found.text) < 500 and "\n" not in found.text and found.text.endswith("…")


def test_each_problem_of_the_node_is_a_condition() -> None:
    problems = {"disk-full": "the disk has 3 MB free", "graph-away": "", "made-up": "something else"}
    first, second = node_conditions(problems)
    assert (first.kind, first.about, first.text) == ("disk-full", "node", "The disk has 3 MB free") and first.advice
    assert second.kind == "made-up"


def test_a_wrong_clock_is_a_problem_of_its_own() -> None:
    fine = SimpleNamespace(problem="")
    node: Any = SimpleNamespace(
        disk=fine, server=fine, processor=fine, projections=SimpleNamespace(graphs=fine),
        store=SimpleNamespace(silence="", standstill="", unreadable="", held="the clock is wrong", problem="the clock is wrong"),
    )  # fmt: skip
    problems: dict[str, str] = Node.problems.__get__(node)
    assert {kind for kind, problem in problems.items() if problem} == {
        "clock-wrong"
    } and problems.keys() <= ADVICE.keys()


def test_a_planned_standstill_is_no_condition() -> None:
    fine = SimpleNamespace(problem="")
    store = SimpleNamespace(silence="copied for a backup", standstill="copied for a backup", unreadable="", held="")
    graphs = SimpleNamespace(graphs=fine)
    node: Any = SimpleNamespace(disk=fine, server=fine, processor=fine, projections=graphs, store=store)
    assert not any(Node.problems.__get__(node).values())
    store.standstill = ""
    assert Node.problems.__get__(node)["log-stalled"]


def test_failed_runs_are_one_condition_for_each_app() -> None:
    tally = {("photos", "FAILED"): 12, ("photos", "DONE"): 5, ("gone", "FAILED"): 1, ("diary", "FAILED"): 0}
    assert [(one.about, one.text) for one in failed_run_conditions(tally, {"photos": "Photos"})] == [
        ("app:gone", "One run of gone failed."), ("app:photos", "12 runs of Photos failed."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("installed", "shipped", "newer"),
    [("1.9.0", "1.10.0", True), ("1.0.0", "1.0.0", False), ("2.0.0", "1.9.9", False), ("1.0.0", "1.0.0-rc1", False)],
)
def test_a_newer_bundled_app_is_an_update(installed: str, shipped: str, newer: bool) -> None:
    mine = app(state=AppState.RUNNING, version=installed, bundled=True)
    assert bool(list(update_conditions([mine], {"photos": shipped}))) == newer
    mine.bundled = None  # an older PCloud did not record it
    assert bool(list(update_conditions([mine], {"photos": shipped}))) == newer
    mine.bundled = False  # another author's app of that name
    assert not list(update_conditions([mine], {"photos": shipped}))


def test_update_of_pcloud_is_a_notice_for_two_weeks() -> None:
    version = DataVersion("0.2.0", "0.2.0", before="0.1.0", since=NOW)
    [notice] = updated_conditions(version, ["Uploads are kept.", "Pages are faster."], NOW + 1)
    assert notice.text == "PCloud was updated from 0.1.0 to 0.2.0." and notice.severity == "info"
    assert notice.advice == "Uploads are kept. Pages are faster."
    assert not list(updated_conditions(version, [], NOW + UPDATED_SECONDS))
    assert not list(updated_conditions(replace_struct(version, before=""), [], NOW))
    [later] = updated_conditions(replace_struct(version, program="0.3.0"), [], NOW)
    assert later.id != notice.id, "a notice that was dismissed says nothing about the next update"
    [back] = updated_conditions(replace_struct(version, program="0.0.9"), ["Pages are faster."], NOW)
    assert back.text == "PCloud went back from 0.1.0 to 0.0.9." and not back.advice and back.id != notice.id
    [long] = updated_conditions(version, ["x" * 90 + "."] * 90, NOW)
    assert len(long.advice) < 2200 and long.advice.endswith("more: CHANGELOG.md.")


def test_a_device_is_silent_only_if_it_was_heard_of_and_could_be_heard() -> None:
    phone = Device("d", "Ada’s phone", "active", seen=NOW - SILENT_SECONDS)
    never, revoked = replace(phone, seen=0.0), replace(phone, state="revoked")

    def silent(device: Device, listening: float = 86400, told: bool = False) -> int:
        return len(list(silent_conditions([device], lambda one: one.seen, NOW, listening, lambda id: told)))

    assert silent(phone) == 1 and not silent(never) and not silent(revoked)
    assert not silent(replace(phone, seen=NOW - SILENT_SECONDS + 1))
    assert not silent(phone, listening=60), "the node was off, and has heard of none"
    assert silent(phone, listening=60, told=True) == 1, "a restart ends no notice"


async def test_no_device_is_silent_when_the_clock_of_a_node_that_was_off_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory, commands, _ = open_memory_directory()
    fields = {"name": "phone", "state": "active", "seenAt": "2027-01-01T00:00:00Z"}
    await commands.write("owner", [EntityChange(Ref("core", "Device", "d"), "add", set=fields)])
    off_at = directory.records.devices["d"].seen
    nothing: Any = SimpleNamespace(
        projections=SimpleNamespace(directory=directory, runs=SimpleNamespace(tally={})),
        devices=SimpleNamespace(last_seen=LastSeen(directory, commands, lambda: off_at)),
        notices=NoticeBoard(directory, commands), apps=SimpleNamespace(statuses=list[Any]), problems={},
    )  # fmt: skip
    watch_conditions(nothing, {}, DataVersion("0.2.0", "0.2.0"))
    monkeypatch.setattr(
        core.node.conditions, "time", SimpleNamespace(**vars(time) | {"time": lambda: off_at + 21 * 86400})
    )
    assert nothing.notices.list() == []
