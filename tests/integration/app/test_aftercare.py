"""What the node corrects automatically: upgrades that stopped half-way, ports that appear, archives that are no longer needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.apps import AppState, read_archive
from core.apps.process.folders import AppFolders
from core.apps.sandbox import Ports, probe
from pcloud.errors import PCloudError, Unavailable
from tests.integration.app.platform import QUICK, Platform, approve_all, open_platform
from tests.waiting import PATIENCE, until


async def is_now(platform: Platform, version: str, state: AppState, error: str = "") -> None:
    async def so() -> bool:
        app = await platform.apps.get("tiny")
        return (app.version, app.state) == (version, state) and error in app.error and not app.paused

    await until(so)


async def runs(platform: Platform) -> None:
    async def so() -> bool:
        return [status.process for status in await platform.apps.list()] == ["running"]

    await until(so)


async def fail(*_: object, **__: object) -> None:
    raise Unavailable("the log does not answer")


async def test_an_upgrade_during_which_the_log_goes_away_backs_out_by_itself(platform, make_app, monkeypatch):
    await platform.apps.install(make_app(), approve=approve_all)
    registry = platform.apps._registry

    async def gone(*_: object) -> None:
        monkeypatch.setattr(registry._commands, "write", fail)
        await fail()

    monkeypatch.setattr(registry, "replace", gone)
    with pytest.raises(Unavailable):
        await platform.apps.install(make_app(version="1.1.0"), approve=approve_all)
    assert (await platform.apps.get("tiny")).state is AppState.UPGRADING
    monkeypatch.undo()
    await is_now(platform, "1.0.0", AppState.RUNNING, "interrupted before anything changed")
    await runs(platform)
    assert (await platform.apps.install(make_app(version="1.1.0"), approve=approve_all)).version == "1.1.0"


async def test_an_upgrade_that_the_log_took_without_saying_so_goes_on(platform, make_app, monkeypatch):
    await platform.apps.install(make_app(), approve=approve_all)
    replace = platform.apps._registry.replace

    async def silent(*given: object) -> None:
        await replace(*given)
        await fail()

    monkeypatch.setattr(platform.apps._registry, "replace", silent)
    app = await platform.apps.install(make_app(version="1.1.0"), approve=approve_all)
    assert (app.version, app.state, app.error) == ("1.1.0", AppState.RUNNING, "")


@pytest.mark.parametrize("when", ["an error", "a restart"])
async def test_a_paused_app_whose_upgrade_is_interrupted_is_paused_again(tmp_path, make_app, monkeypatch, when):
    began = asyncio.Event()

    async def stuck(*_: object) -> None:
        began.set()
        await (fail() if when == "an error" else asyncio.Event().wait())

    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(make_app(), approve=approve_all)
        await platform.apps.pause("tiny", "it wrote too much")
        monkeypatch.setattr(platform.apps._registry, "replace", stuck)
        newer = make_app(version="1.1.0")
        upgrading = asyncio.create_task(platform.apps.install(newer, approve=approve_all))
        async with asyncio.timeout(PATIENCE):
            await began.wait()
        if when == "an error":
            with pytest.raises(Unavailable):
                await upgrading
            await is_now(platform, "1.0.0", AppState.PAUSED, "it wrote too much")
    upgrading.cancel()
    async with open_platform(tmp_path / "node") as platform:
        await is_now(platform, "1.0.0", AppState.PAUSED, "it wrote too much")
        assert [status.pid for status in await platform.apps.list()] == [None]
        assert (await platform.apps.resume("tiny")).state is AppState.RUNNING


async def test_a_paused_app_whose_new_version_does_not_work_is_paused_again(tmp_path, make_app):
    async with open_platform(tmp_path / "node", supervision=replace(QUICK, settle=2.0, start=60.0)) as platform:
        await platform.apps.install(make_app(), approve=approve_all)
        await platform.apps.pause("tiny", "it wrote too much")
        with pytest.raises(PCloudError, match=r"1\.0\.0 is paused again"):
            await platform.apps.install(make_app(version="2.0.0", script="raise SystemExit('no')"), approve=approve_all)
        await is_now(platform, "1.0.0", AppState.PAUSED, "it wrote too much; 2.0.0 did not work")


async def test_an_app_that_should_run_and_does_not_is_started(platform, make_app, monkeypatch):
    await platform.apps.install(make_app(), approve=approve_all)
    monkeypatch.setattr(platform.recorder, "attach", fail)
    with pytest.raises(Unavailable):
        await platform.apps.restart("tiny")
    monkeypatch.undo()
    await runs(platform)


ECHO = """
    import os, socketserver
    class Echo(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline().upper())
    socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT_LINE"])), Echo).serve_forever()
"""
ASK = """
    import socket, time
    while True:
        try:
            with socket.create_connection(PLACE, timeout=5) as connection:
                connection.sendall(b"hello\\n")
                print(connection.makefile().readline(), flush=True)
        except OSError:
            pass
        time.sleep(0.1)
"""


async def test_a_port_that_appears_is_there_for_an_app_that_was_started_before(tmp_path, make_app):
    machine = await asyncio.to_thread(probe)
    async with open_platform(tmp_path / "node", machine=machine, unconfined=False) as platform:
        port = Ports(platform.settings.folder).published("echo", "line")
        script = ASK.replace("PLACE", repr(port[1:]))
        asks = make_app("uses: [{call: echo/get, optional: true}]\n", name="asks", script=script)
        await platform.apps.install(asks, approve=approve_all)
        await platform.apps.install(make_app(name="other"), approve=approve_all)
        before = {status.name: status.pid for status in await platform.apps.list()}
        # It never connects to the bus, so it has no actions of its own here.
        echo = make_app(name="echo", script=ECHO, ports="line", more="provides: [echo]\n")
        await platform.apps.install(echo, approve=approve_all)

        async def heard() -> bool:
            return "HELLO" in " ".join(await platform.apps.logs("asks"))

        await until(heard)
        after = {status.name: status.pid for status in await platform.apps.list()}
        assert after["other"] == before["other"], "no other app is restarted"


async def test_archives_that_no_app_needs_are_deleted(tmp_path, make_app):
    archives = [make_app(version=f"1.{number}.0") for number in range(3)]
    first, second, third = (read_archive(archive).sha256 for archive in archives)

    async def holds(*names: str) -> None:
        async def so() -> bool:
            return await platform.store.archives.names() == set(names)

        await until(so)

    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(archives[0], approve=approve_all)
        await platform.apps.install(archives[1], approve=approve_all)
        await holds(first, second)
        await platform.apps.install(archives[2], approve=approve_all)
        await holds(second, third)
        await platform.apps.rollback("tiny")
        await holds(second)
        await platform.store.archives.put(first, b"left by a node that was killed")
        await platform.store.js.publish("$O.ARCHIVES.C.abandoned", b"a piece")
    async with open_platform(tmp_path / "node") as platform:
        await holds(second)
        assert (await platform.store.js.stream_info("OBJ_ARCHIVES")).state.messages == 2
        await platform.apps.remove("tiny")
        await holds()


async def test_an_archive_on_its_way_in_is_not_deleted(platform, make_app):
    newer, kept = make_app(version="2.0.0"), platform.apps._kept_archives
    begin = platform.apps._arrivals._begin

    async def slowly(*given):
        await kept.clean()
        return await begin(*given)

    platform.apps._arrivals._begin = slowly
    await platform.apps.install(newer, approve=approve_all)
    assert await platform.store.archives.names() == {read_archive(newer).sha256}


async def test_archive_of_an_upgrade_is_kept_while_the_data_is_copied(platform, make_app):
    """Archives are deleted every half a minute; stopping an app and copying its data takes longer with many files."""
    newer, kept, upgrades = make_app(version="2.0.0"), platform.apps._kept_archives, platform.apps._upgrades
    await platform.apps.install(make_app(), approve=approve_all)
    step = upgrades._step

    async def after_a_deletion(name, which, *more):
        for _ in range(3):  # the installing call has long returned from `_begin`
            await asyncio.sleep(0)
        await kept.clean()
        await step(name, which, *more)

    upgrades._step = after_a_deletion
    await platform.apps.install(newer, approve=approve_all)
    assert (await platform.apps.get("tiny")).version == "2.0.0"
    assert read_archive(newer).sha256 in await platform.store.archives.names()
    await kept.clean()
    assert not +kept._arriving


async def test_a_full_disk_drops_the_copy_that_keeps_deleted_bytes(platform, make_app, monkeypatch):
    more = "backup: {append-only: [volume]}\n"
    await platform.apps.install(make_app(more), approve=approve_all)
    folders = AppFolders.of(platform.settings.folder, "tiny")
    (folders.data / "volume").write_bytes(b"kept")
    await platform.apps.install(make_app(more, version="2.0.0"), approve=approve_all)
    assert (folders.data / "volume").stat().st_nlink == 2
    monkeypatch.setattr("core.apps.life.data_snapshot.SHORT", 2**60)
    platform.apps._aftercare.look()
    await until(lambda: not list(folders.snapshots.iterdir()))
    assert (folders.data / "volume").stat().st_nlink == 1
    (folders.data / "volume").write_bytes(b"newer")
    assert (await platform.apps.rollback("tiny")).version == "1.0.0"
    assert (folders.data / "volume").read_bytes() == b"newer"
