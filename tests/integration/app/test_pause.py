"""An app is paused and resumed; a grant is withdrawn and given again."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from core.access.grant import grant_id
from core.apps import AppState
from core.apps.process.folders import AppFolders
from pcloud.errors import Conflict, Forbidden, NotFound, Unavailable
from tests.integration.app.platform import approve_all, open_platform
from tests.waiting import PATIENCE

WEB = grant_id("tiny", "network", "api.example.org:443")
MAIL = grant_id("tiny", "network", "smtp.example.org:465")
ASKS = "uses: [{network: 'api.example.org:443'}, {network: 'smtp.example.org:465', optional: true}]\n"


async def test_a_paused_app_stands_still_over_a_restart_until_it_is_resumed(tmp_path, make_app):
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(make_app(), approve=approve_all)
        [status] = await platform.apps.list()
        paused = await platform.apps.pause("tiny", "it wrote too much")
        assert (paused.state, paused.error) == (AppState.PAUSED, "it wrote too much")
        assert not psutil.pid_exists(status.pid) and "suspend tiny" in platform.recorder.noted()
        with pytest.raises(Conflict, match="resume it"):
            await platform.apps.restart("tiny")
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        [status] = await platform.apps.list()
        assert (status.state, status.pid, status.error) == ("PAUSED", None, "it wrote too much")
        resumed = await platform.apps.resume("tiny")
        [status] = await platform.apps.list()
        assert (resumed.state, resumed.error) == (AppState.RUNNING, "") and status.pid


async def test_a_restarted_app_has_another_process(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    [before] = await platform.apps.list()
    await platform.apps.restart("tiny")
    [after] = await platform.apps.list()
    assert before.pid != after.pid and after.process == "running" and not psutil.pid_exists(before.pid)


async def test_withdrawing_what_it_needs_pauses_an_app_and_giving_it_again_resumes_it(platform, make_app):
    await platform.apps.install(make_app(ASKS), approve=approve_all)
    app = await platform.apps.set_grant("tiny", WEB, False)
    assert app.state is AppState.PAUSED
    assert app.error.startswith(
        "it can't work without what you withdrew: connect to api.example.org on the internet (port 443)"
    )
    noted = platform.recorder.noted()
    assert "disconnect app:tiny" in noted and "disconnect person:owner tiny" in noted, "its connections are cut"
    assert "disconnect app:other" not in noted and "disconnect person:owner" not in noted, "other connections stay"
    with pytest.raises(Forbidden, match="stays paused"):
        await platform.apps.resume("tiny")
    app = await platform.apps.set_grant("tiny", WEB, True)
    assert (app.state, app.error) == (AppState.RUNNING, "")


async def test_withdrawing_an_optional_grant_restarts_it(platform, make_app):
    await platform.apps.install(make_app(ASKS), approve=approve_all)
    [before] = await platform.apps.list()
    app = await platform.apps.set_grant("tiny", MAIL, False)
    [after] = await platform.apps.list()
    assert app.state is AppState.RUNNING and before.pid != after.pid, "what it reaches is decided at its start"
    states = {grant["target"]: grant["state"] for grant in (await platform.apps.detail("tiny"))["grants"]}
    assert states == {"api.example.org:443": "approved", "smtp.example.org:465": "rejected"}
    last = await platform.store.last_sequence()
    await platform.apps.set_grant("tiny", MAIL, False)
    assert await platform.store.last_sequence() == last, "saying it again changes nothing"


async def test_only_an_apps_own_grants_can_be_decided(platform, make_app):
    await platform.apps.install(make_app(ASKS), approve=approve_all)
    await platform.apps.install(make_app(name="other"), approve=approve_all)
    for name, grant in (("other", WEB), ("tiny", "nonsense"), ("missing", WEB)):
        with pytest.raises(NotFound):
            await platform.apps.set_grant(name, grant, False)


async def test_an_app_paused_for_another_reason_is_not_woken_by_a_grant(platform, make_app):
    await platform.apps.install(make_app(ASKS), approve=approve_all)
    await platform.apps.set_grant("tiny", MAIL, False)
    await platform.apps.pause("tiny")
    assert (await platform.apps.set_grant("tiny", MAIL, True)).state is AppState.PAUSED


async def test_a_paused_app_is_upgraded_and_then_runs(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    await platform.apps.pause("tiny")
    app = await platform.apps.install(make_app(version="1.1.0"), approve=approve_all)
    assert (app.state, app.version) == (AppState.RUNNING, "1.1.0")


async def test_the_log_is_followed_over_its_turns_and_nothing_comes_twice(platform, make_app):
    await platform.apps.install(make_app(script="import time; print('hello'); time.sleep(3600)"), approve=approve_all)
    path = AppFolders.of(platform.settings.folder, "tiny").log

    async def first(count: int) -> list[str]:
        found: list[str] = []
        async for line in lines:
            if line is not None:
                found.append(line)
            if len(found) == count:
                return found
        raise AssertionError("it ends only with its reader")

    lines = platform.apps.follow("tiny", 1)
    async with asyncio.timeout(PATIENCE):
        await first(1)
        with path.open("a") as file:
            file.write("one\ntwo\nhalf")
        assert await first(2) == ["one", "two"]
        with path.open("a") as file:
            file.write(" a line\nlast of this file\n")
        path.rename(path.with_name("app.log.1"))
        path.write_text("first of the next\n")
        assert await first(3) == ["half a line", "last of this file", "first of the next"]
    await lines.aclose()


async def test_forgetting_reaches_the_data_folder_and_all_that_was_stored(platform, make_app):
    notes = "type Note { text: String! }"
    await platform.apps.install(make_app("schema: s.graphql\n", s__graphql=notes), approve=approve_all)
    await platform.apps.remove("tiny", forget=True)
    assert "detach tiny and forget" in platform.recorder.noted()
    assert "call app:core role:object-storage/forget-caller {'caller': 'app:tiny'}" in platform.recorder.noted()
    assert not (platform.settings.folder / "tiny").exists() and await platform.apps.list() == []


async def test_forgetting_waits_for_the_object_store(platform, make_app):
    await platform.apps.start_all()
    await platform.apps.install(make_app(), approve=approve_all)
    platform.recorder.errors = [Unavailable("the app object-store is not running")]
    with pytest.raises(Unavailable, match="object-store is not running"):
        await platform.apps.remove("tiny", forget=True)
    assert (platform.settings.folder / "tiny").exists()
    async with asyncio.timeout(PATIENCE):
        while await platform.apps.list():
            await asyncio.sleep(0.02)
    assert not (platform.settings.folder / "tiny").exists()


async def test_keeping_what_an_app_stored_leaves_its_buckets_alone(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    await platform.apps.remove("tiny")
    assert not [line for line in platform.recorder.noted() if "forget-caller" in line]
    assert "callers told" in platform.recorder.noted()
