"""Notices: one for each condition, raised and ended by the conditions alone, whatever dies in between."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from core.graph.command import Commands, EntityChange
from core.people.notice import NoticeBoard, NoticeCondition
from core.people.notice import notices as module
from core.people.notice.notices import KEPT_SECONDS, OVER_SECONDS
from pcloud.errors import NotFound, PCloudError, Unavailable
from pcloud.event import Kind
from pcloud.subject import Ref
from projections.directory import Directory
from tests.memory_log import MemoryLog, open_memory_directory

FULL = NoticeCondition("disk-full", "node", "The disk is full.", "Make room.")
FAILED = NoticeCondition("app-failed", "app:photos", "Photos failed.")


class Cloud:
    """The conditions of a cloud, and a clock that the test moves."""

    def __init__(self, directory: Directory, commands: Commands, log: MemoryLog) -> None:
        self.directory, self.commands, self.log = directory, commands, log
        self.now = 1_800_000_000.0
        self.wrong = 0.0  # by how much the clock is wrong
        self.conditions: list[NoticeCondition] = []
        self.notices = self.restarted()

    def restarted(self) -> NoticeBoard:
        """The notices of a process that has nothing in memory, as after kill -9."""
        self.notices = NoticeBoard(
            self.directory, self.commands, lambda: self.now + self.wrong, elapsed=lambda: self.now
        )
        self.notices.watch(lambda: self.conditions)
        return self.notices

    async def pass_(self, seconds: float) -> None:
        self.now += seconds
        await self.notices.settle()

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.notices.list()]

    @property
    def events(self) -> int:
        return sum(len(tx.events) for tx in self.log.transactions)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    yield Cloud(*open_memory_directory())


async def test_a_condition_that_stands_is_one_notice_and_one_event(cloud: Cloud) -> None:
    cloud.conditions = [FULL, FULL, NoticeCondition("disk-full", "node", "The disk is still full.")]
    for _ in range(5):
        await cloud.pass_(5)
        cloud.restarted()
        await cloud.pass_(0)
    assert cloud.events == 1 and len(cloud.notices.list()) == 1
    assert cloud.notices.list()[0].since == 1_800_000_005.0


async def test_a_notice_ends_by_itself_a_minute_after_its_condition(cloud: Cloud) -> None:
    cloud.conditions = [FULL, FAILED]
    await cloud.pass_(0)
    cloud.conditions = [FAILED]
    await cloud.pass_(5)
    await cloud.pass_(OVER_SECONDS - 1)
    assert len(cloud.notices.list()) == 2
    await cloud.pass_(1)
    assert cloud.texts == ["Photos failed."]
    (ended,) = [one for one in cloud.notices.list(all=True) if one.ended]
    assert ended.ended == 1_800_000_005.0


async def test_a_condition_that_comes_and_goes_makes_one_notice(cloud: Cloud) -> None:
    for number in range(100):
        cloud.conditions = [FAILED] if number % 2 == 0 else []
        await cloud.pass_(20)
    assert cloud.events == 1


async def test_a_notice_of_a_killed_node_is_neither_doubled_nor_left_open(cloud: Cloud) -> None:
    cloud.conditions = [FULL, FAILED]
    await cloud.pass_(0)
    cloud.conditions = [FAILED]
    cloud.restarted()
    await cloud.pass_(0)
    await cloud.pass_(OVER_SECONDS)
    assert cloud.texts == ["Photos failed."] and cloud.events == 3


async def test_a_dismissed_notice_stays_away_until_its_condition_comes_again(cloud: Cloud) -> None:
    cloud.conditions = [FULL]
    await cloud.pass_(0)
    await cloud.notices.dismiss(FULL.id)
    await cloud.notices.dismiss(FULL.id)
    cloud.restarted()
    await cloud.pass_(3600)
    assert cloud.texts == [] and cloud.events == 2
    cloud.conditions = []
    await cloud.pass_(1)
    await cloud.pass_(OVER_SECONDS)
    cloud.conditions = [FULL]
    await cloud.pass_(1)
    assert cloud.texts == ["The disk is full."]


async def test_dismissing_can_be_undone(cloud: Cloud) -> None:
    cloud.conditions = [FULL]
    await cloud.pass_(0)
    await cloud.notices.dismiss(FULL.id)
    assert (await cloud.notices.restore(FULL.id)).dismissed == 0.0
    assert cloud.texts == ["The disk is full."]
    with pytest.raises(NotFound):
        await cloud.notices.dismiss("0" * 32)


async def test_notices_are_shown_while_the_log_refuses_events_and_recorded_later(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Unavailable("the log does not answer")

    with monkeypatch.context() as stalled:
        stalled.setattr(cloud.commands, "write", refuse)
        cloud.conditions = [FULL]
        with pytest.raises(Unavailable):
            await cloud.pass_(0)
        assert cloud.texts == ["The disk is full."] and cloud.events == 0
        with pytest.raises(Unavailable):
            await cloud.notices.dismiss(FULL.id)
        cloud.conditions = []
        with pytest.raises(Unavailable):
            await cloud.pass_(10)
        assert cloud.texts == []
    await cloud.pass_(0)
    (over,) = cloud.notices.list(all=True)
    assert (over.since, over.ended) == (1_800_000_000.0, 1_800_000_010.0)


async def test_a_notice_of_a_wrong_clock_has_the_times_of_the_right_one(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Unavailable("the clock is wrong")

    cloud.wrong = -21 * 86400.0
    with monkeypatch.context() as held:
        held.setattr(cloud.commands, "write", refuse)
        cloud.conditions = [FULL, FAILED]
        with pytest.raises(Unavailable):
            await cloud.pass_(0)
        cloud.conditions = [FAILED]
        with pytest.raises(Unavailable):
            await cloud.pass_(10)
    cloud.wrong = 0.0
    await cloud.pass_(5)
    (failed,) = cloud.notices.list()
    (full,) = [one for one in cloud.notices.list(all=True) if one.ended]
    assert (failed.since, full.since, full.ended) == (1_800_000_000.0, 1_800_000_000.0, 1_800_000_010.0)


async def test_a_clock_that_is_set_ends_no_notice_early(cloud: Cloud) -> None:
    cloud.conditions = [FULL]
    await cloud.pass_(0)
    cloud.conditions = []
    await cloud.pass_(1)
    cloud.wrong = 86400.0
    await cloud.pass_(1)
    assert cloud.texts == ["The disk is full."]


async def test_a_notice_that_is_deleted_while_it_is_dismissed_is_not_found(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.conditions = [FULL]
    await cloud.pass_(0)
    write = cloud.commands.write

    async def deleted_first(actor: str, changes: object, **more: bool) -> None:
        await write(actor, [EntityChange(Ref("core", "Notice", FULL.id), "delete")], **more)

    monkeypatch.setattr(cloud.commands, "write", deleted_first)
    with pytest.raises(NotFound):
        await cloud.notices.dismiss(FULL.id)


async def test_open_notices_are_bounded_and_problems_come_first(cloud: Cloud) -> None:
    infos = [
        NoticeCondition("update-available", f"app:a{number}", "An update.", severity="info") for number in range(500)
    ]
    cloud.conditions = [*infos, FULL]
    await cloud.pass_(0)
    assert len(cloud.notices.list()) == module.MOST_OPEN and "The disk is full." in cloud.texts


async def test_old_notices_are_deleted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENDED", 1)
    for condition in (FULL, FAILED):
        cloud.conditions = [condition]
        await cloud.pass_(1)
        cloud.conditions = []
        await cloud.pass_(1)
        await cloud.pass_(OVER_SECONDS)
    await cloud.pass_(1)
    assert [one.text for one in cloud.notices.list(all=True)] == ["Photos failed."]
    await cloud.pass_(KEPT_SECONDS + 1)
    assert cloud.notices.list(all=True) == []
    assert cloud.log.transactions[-1].events[0].kind is Kind.DELETED


async def test_a_failing_source_ends_no_notice(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.conditions = [FULL]
    await cloud.pass_(0)

    def broken() -> list[NoticeCondition]:
        raise PCloudError("broken")

    cloud.notices.watch(broken)
    cloud.conditions = []
    with caplog.at_level(logging.CRITICAL):
        await cloud.pass_(1)
        await cloud.pass_(2 * OVER_SECONDS)
    assert cloud.texts == ["The disk is full."]
