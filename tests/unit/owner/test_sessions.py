"""Sessions in the directory: how long one lasts, what ends it, and how few events it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from core.graph.command import Commands, EntityChange
from core.people.owner import session as module
from core.people.owner.credential import OWNER, change_credential, credential_name, token_hash, verify_owner
from core.people.owner.session import KEPT_SECONDS, SEEN_SECONDS, SESSION_SECONDS, Sessions
from pcloud.errors import Conflict, Forbidden, NotFound
from pcloud.event import Kind
from projections.directory import Directory, Session
from tests.memory_log import MemoryLog, open_memory_directory

TOKEN = "owner_right"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Open = Callable[[], Sessions]


class Cloud:
    """An owner, sessions, and a clock that the test moves."""

    def __init__(self, directory: Directory, commands: Commands, log: MemoryLog) -> None:
        self.directory, self.commands, self.log = directory, commands, log
        self.now = 1_800_000_000.0
        self.sessions = self.another_node()

    def another_node(self) -> Sessions:
        """Another node on the same log, with nothing in memory."""
        return Sessions(self.directory, self.commands, lambda: self.now)

    async def begin(self, id: str = "") -> Session:
        session = await self.sessions.begin(FIREFOX, credential_name(TOKEN), id)
        assert session
        return session

    @property
    def events(self) -> int:
        return sum(len(tx.events) for tx in self.log.transactions)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    directory, commands, log = open_memory_directory()
    await commands.write("owner", [EntityChange(OWNER, "add", set={"tokenHash": token_hash(TOKEN)})])
    yield Cloud(directory, commands, log)


async def test_a_session_runs_on_every_node_until_it_is_ended(cloud: Cloud) -> None:
    session = await cloud.begin()
    assert (session.browser, session.device, session.person) == ("Firefox", "Linux computer", "owner")
    other = cloud.another_node()
    assert other.running(session.id) == session and other.list() == [session]
    await other.end(session.id)
    assert cloud.sessions.running(session.id) is None and cloud.sessions.list() == []
    with pytest.raises(NotFound):
        await cloud.sessions.end(session.id)


async def test_a_session_ends_with_its_time(cloud: Cloud) -> None:
    session = await cloud.begin()
    cloud.now += SESSION_SECONDS - 1
    assert cloud.sessions.running(session.id)
    cloud.now += 1
    assert cloud.sessions.running(session.id) is None


async def test_an_id_begins_one_session_whether_or_not_that_still_runs(cloud: Cloud) -> None:
    session = await cloud.begin("s1")
    assert await cloud.another_node().begin(FIREFOX, credential_name(TOKEN), "s1") is None
    await cloud.sessions.end(session.id)
    assert await cloud.another_node().begin(FIREFOX, credential_name(TOKEN), "s1") is None


async def test_only_one_of_many_starts_with_the_same_id_wins(cloud: Cloud) -> None:
    begun = await asyncio.gather(*(cloud.sessions.begin("", credential_name(TOKEN), "s1") for _ in range(8)))
    assert len([session for session in begun if session]) == 1


async def test_one_event_of_a_new_credential_ends_all_sessions_everywhere(cloud: Cloud) -> None:
    sessions = [await cloud.begin() for _ in range(3)]
    before = cloud.events
    new = await change_credential(cloud.directory, cloud.commands, TOKEN)
    assert cloud.events == before + 1
    assert not [one for one in sessions if cloud.another_node().running(one.id)]
    assert verify_owner(cloud.directory, new) and not verify_owner(cloud.directory, TOKEN)


async def test_old_credential_begins_no_session_after_the_change(cloud: Cloud) -> None:
    """The check and the session's event are two steps, and the change may come between them."""
    await change_credential(cloud.directory, cloud.commands, None)
    assert await cloud.sessions.begin(FIREFOX, credential_name(TOKEN)) is None
    assert cloud.sessions.list() == []


async def test_a_wrong_credential_changes_nothing(cloud: Cloud) -> None:
    session = await cloud.begin()
    with pytest.raises(Forbidden):
        await change_credential(cloud.directory, cloud.commands, "owner_wrong")
    assert verify_owner(cloud.directory, TOKEN) and cloud.sessions.running(session.id)


async def test_of_two_concurrent_changes_the_answered_one_holds(cloud: Cloud) -> None:
    changes = [change_credential(cloud.directory, cloud.commands, TOKEN) for _ in range(2)]
    answers = await asyncio.gather(*changes, return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, str)]
    assert len(made) == 1 and verify_owner(cloud.directory, made[0])
    assert [type(answer) for answer in answers if answer not in made] in ([Conflict], [Forbidden])


async def test_ending_all_but_one_leaves_that_one(cloud: Cloud) -> None:
    mine, *_ = [await cloud.begin() for _ in range(4)]
    assert await cloud.sessions.end_all(but=mine.id) == 3
    assert cloud.sessions.list() == [mine]
    assert await cloud.sessions.end_all() == 1 and await cloud.sessions.end_all() == 0


async def test_a_browser_that_signs_in_again_has_one_session(cloud: Cloud) -> None:
    before = await cloud.begin()
    after = await cloud.sessions.begin(FIREFOX, credential_name(TOKEN), replacing=[before.id])
    assert cloud.sessions.list() == [after]


async def test_the_one_that_was_unused_for_longest_makes_room(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    first, second, third = [await cloud.begin() for _ in range(3)]
    cloud.now += 60
    cloud.sessions.use(first.id)
    cloud.sessions.use(third.id)
    fourth = await cloud.begin()
    assert {session.id for session in cloud.sessions.list()} == {first.id, third.id, fourth.id} and second


async def test_old_ended_sessions_are_deleted_when_one_begins(cloud: Cloud) -> None:
    ended, expired = await cloud.begin(), await cloud.begin()
    await cloud.sessions.end(ended.id)
    cloud.now += KEPT_SECONDS + 1
    await cloud.begin()
    assert ended.id not in cloud.directory.records.sessions and expired.id in cloud.directory.records.sessions
    cloud.now += SESSION_SECONDS + 1
    await cloud.begin()
    assert expired.id not in cloud.directory.records.sessions
    assert [event.kind for event in cloud.log.transactions[-1].events].count(Kind.DELETED) == 1


async def test_requests_make_no_events_and_an_hour_one(cloud: Cloud) -> None:
    one, two = await cloud.begin(), await cloud.begin()
    before = cloud.events
    for _ in range(1000):
        assert cloud.sessions.use(one.id) and cloud.sessions.use(two.id)
        cloud.now += 3
        await cloud.sessions.write_seen()
    assert cloud.events == before, "within the first hour"
    cloud.now = one.created + SEEN_SECONDS + 1
    for _ in range(1000):
        cloud.sessions.use(one.id)
        await cloud.sessions.write_seen()
    assert cloud.events == before + 2, "both, in one transaction"
    assert cloud.another_node().seen(cloud.directory.records.sessions[one.id]) == cloud.now


async def test_a_session_that_has_ended_is_not_seen_any_more(cloud: Cloud) -> None:
    session = await cloud.begin()
    cloud.now += 2 * SEEN_SECONDS
    cloud.sessions.use(session.id)
    await cloud.sessions.end(session.id)
    before = cloud.events
    assert cloud.sessions.use(session.id) is None
    await cloud.sessions.write_seen()
    assert cloud.events == before


async def test_sign_in_and_out_are_stored_on_a_nearly_full_disk(cloud: Cloud) -> None:
    """The owner must be able to sign in to make room, and to end a session."""
    session = await cloud.begin()
    await cloud.sessions.end(session.id)
    await change_credential(cloud.directory, cloud.commands, TOKEN)
    assert [tx.urgent for tx in cloud.log.transactions[1:]] == [True, True, True]
