"""The owner's limits on how much of the machine an app may use."""

from __future__ import annotations

import asyncio

import pytest

from core.apps import AppState
from core.apps.sandbox import probe
from pcloud.errors import NotFound, Rejected
from tests.integration.app.platform import approve_all, open_platform
from tests.waiting import PATIENCE

ASKS = "resources: {memory: 134217728, disk: 4194304}\n"


async def test_the_owners_limits_hold_for_every_version_until_they_are_taken_back(platform, make_app):
    await platform.apps.install(make_app(ASKS), approve=approve_all)
    [before] = await platform.apps.list()
    app = await platform.apps.set_limits("tiny", {"memory": 2**28, "disk": 0})
    [after] = await platform.apps.list()
    assert (app.resources.memory, app.resources.processes, app.resources.disk) == (2**28, 64, 0)
    assert before.pid != after.pid and app.state is AppState.RUNNING, "they hold from its start on"
    newer = make_app(ASKS, version="1.1.0")
    assert (await platform.apps.review(newer)).resources[0] == "use up to 256 MiB of memory"
    assert (await platform.apps.install(newer, approve=approve_all)).limits == {"memory": 2**28, "disk": 0}
    app = await platform.apps.set_limits("tiny", {"memory": None, "processes": None, "disk": None})
    assert app.resources == app.manifest.resources and not app.limits
    last = await platform.store.last_sequence()
    await platform.apps.set_limits("tiny", {"memory": None})
    assert await platform.store.last_sequence() == last, "saying it again changes nothing"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"memory": 2**20}, "memory is 1 MiB: use a whole number of bytes from 32 MiB to 1 TiB"),
        ({"processes": 0}, "processes is 0: use a whole number from 1 to 4096"),
        ({"disk": 5}, "disk is 5 bytes: use a whole number of bytes from 1 MiB"),
        ({"cpu": 1}, "no limit 'cpu'"),
        ({"memory": "2GiB"}, "memory is '2GiB': use"),
        ({"files": 5}, "files is 5: use a whole number from 64 to 1048576"),
        ({"disk": False}, "disk is False: use"),
    ],
)
async def test_a_limit_that_no_app_could_have_is_refused(platform, make_app, changes, why):
    await platform.apps.install(make_app(), approve=approve_all)
    with pytest.raises(Rejected, match=why):
        await platform.apps.set_limits("tiny", changes)
    with pytest.raises(NotFound):
        await platform.apps.set_limits("missing", {"processes": 2})


FILL = """
    import os, pathlib, time
    data = pathlib.Path(os.environ["PCLOUD_DATA"])
    for number in range(3):
        (data / str(number)).write_bytes(bytes(2**21))
    print("full", flush=True)
    time.sleep(3600)
"""


async def test_an_app_that_was_paused_for_its_full_folder_goes_on_with_more_room(tmp_path, make_app):
    machine = await asyncio.to_thread(probe)
    async with open_platform(tmp_path / "node", machine=machine, unconfined=False) as platform:
        await platform.apps.install(make_app(ASKS, script=FILL), approve=approve_all, unconfined=True)
        async with asyncio.timeout(PATIENCE):
            while (app := await platform.apps.get("tiny")).state is not AppState.PAUSED:
                await asyncio.sleep(0.05)
        assert "more than its quota of 4 MiB: give it more room with `pcloud app limits tiny --disk" in app.error
        await platform.apps.settled()
        app = await platform.apps.set_limits("tiny", {"disk": 2**30})
        assert app.state is AppState.PAUSED, "only the owner lets it go on"
        assert (await platform.apps.resume("tiny")).state is AppState.RUNNING
