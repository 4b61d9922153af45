"""An app with very many files is upgraded, upgraded after an interruption, and rolled back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.apps import AppState
from core.apps.process.folders import AppFolders
from tests.integration.app.platform import approve_all
from tests.waiting import until

FILES, FOLDERS = 300_000, 300


def fill(data: Path) -> None:
    for folder in range(FOLDERS):
        (data / str(folder)).mkdir()
        for file in range(FILES // FOLDERS):
            (data / str(folder) / str(file)).write_bytes(b"small")


def count(data: Path) -> int:
    return sum(1 for _ in data.glob("*/*"))


@pytest.mark.long
async def test_app_with_300_000_files_is_upgraded_and_rolled_back(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    data = AppFolders.of(platform.settings.folder, "tiny").data
    await asyncio.to_thread(fill, data)
    upgrade = asyncio.create_task(platform.apps.install(make_app(version="2.0.0"), approve=approve_all))
    while not upgrade.done():  # as the aftercare does every half a minute
        await platform.apps._kept_archives.clean()
        await asyncio.sleep(0.1)
    assert (await upgrade).version == "2.0.0"
    (data / "0" / "0").write_bytes(b"changed")
    back = await platform.apps.rollback("tiny")
    assert (back.version, back.state) == ("1.0.0", AppState.RUNNING)
    assert await asyncio.to_thread(count, data) == FILES and (data / "0" / "0").read_bytes() == b"small"


async def test_copy_shows_how_far_it_is_and_stops_with_the_node(platform, make_app, monkeypatch):
    monkeypatch.setattr("core.apps.life.upgrade.SHOWN_SECONDS", 0.01)
    await platform.apps.install(make_app(), approve=approve_all)
    data = AppFolders.of(platform.settings.folder, "tiny").data
    for number in range(3000):
        (data / str(number)).write_bytes(b"small")
    said: list[str] = []
    upgrade = asyncio.create_task(
        platform.apps.install(make_app(version="2.0.0"), approve=approve_all, progress=lambda *step: said.append(step))
    )

    async def copying() -> bool:
        [status] = await platform.apps.list()
        return "copying its data" in status.reason

    await until(copying)
    await platform.apps.stop_all()
    await asyncio.gather(upgrade, return_exceptions=True)
    assert any(step == "snapshot" and "files and folders" in detail for step, detail in said)
    snapshots = AppFolders.of(platform.settings.folder, "tiny").snapshots
    await until(lambda: not list(snapshots.iterdir()))
    await platform.apps.start_all()

    async def back() -> bool:
        app = await platform.apps.get("tiny")
        return (app.version, app.state) == ("1.0.0", AppState.RUNNING)

    await until(back)
