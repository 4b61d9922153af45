"""Forgotten data is in no file of a view: neither in the version before the last rebuild nor in one that is being
built."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.graph.command.forget import Forgetting
from eventstore import EventStore
from pcloud.errors import NotFound
from pcloud.subject import Ref
from projections import forgotten
from projections.graph.sqlite.versions import SqliteVersions
from tests.contracts.projections.test_rebuild import House, house, image, reaches, store

__all__ = ["store"]  # the fixture: a server with a log

SECRET = "zanzibarquelle"
SECRETS = Ref("house", "Image", "mine")


def found(folder: Path) -> list[str]:
    """The files with a trace of it."""
    return [str(one) for one in folder.rglob("*") if one.is_file() and SECRET.encode() in one.read_bytes()]


def indexes(folder: Path) -> list[str]:
    return sorted(one.name for one in (folder / "search").glob("index-*/"))


async def remember(views: House, store: EventStore) -> None:
    await store.append(image(SECRETS.id, SECRET))
    await views.up_to_date(store)


async def forget(views: House, store: EventStore) -> None:
    await Forgetting(store, views.graph, views.graph_loop).forget("owner", [SECRETS])
    await views.up_to_date(store)


async def test_forgotten_data_leaves_every_version(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgotten, "REBUILD_AFTER", 0.01)
    async with house(tmp_path, store, keeping=True) as views:
        await remember(views, store)
        await views.rebuilds.rebuild()
        await views.search_rebuilds.rebuild()
        assert len({one.split("-wal")[0] for one in found(tmp_path / "graph")}) == 2
        assert indexes(tmp_path) == ["index-1", "index-2"]
        await forget(views, store)
        assert found(tmp_path / "graph") == []
        await reaches(lambda: indexes(tmp_path) == ["index-3"])  # its words are spelled in no order there: all files go
        await views.search_rebuilds.idle()
        assert not views.search_rebuilds.chosen.previous and not views.search_rebuilds.chosen.traces
        with pytest.raises(NotFound):
            await views.rebuilds.back()
        await views.rebuilds.rebuild()  # the one that had it is not kept, the next one is
        assert (await views.rebuilds.rebuild()).previous == "sqlite-3"
        assert found(tmp_path / "graph") == []


async def test_a_process_that_dies_before_folding_keeps_no_previous_version(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, store) as views:
        await remember(views, store)
        await views.rebuilds.rebuild()

        async def die(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(views.graph.in_use, "apply", die)
        with pytest.raises(Exception, match="has stopped"):
            await Forgetting(store, views.graph, views.graph_loop).forget("owner", [SECRETS])
        monkeypatch.undo()
    async with house(tmp_path, store) as views:
        await Forgetting(store, views.graph, views.graph_loop).finish()
        await views.up_to_date(store)
        assert found(tmp_path / "graph") == []
        assert views.rebuilds.chosen.previous == ""


async def test_data_forgotten_during_a_build_is_in_neither_version(store: EventStore, tmp_path: Path) -> None:
    async with house(tmp_path, store) as views:
        await remember(views, store)
        await views.rebuilds.rebuild()
        building = asyncio.create_task(views.rebuilds.rebuild())
        await reaches(lambda: views.rebuilds.progress is not None)
        await forget(views, store)
        rebuilt = await building
        assert (rebuilt.previous, found(tmp_path / "graph")) == ("", [])


async def test_an_interrupted_return_continues_with_what_was_forgotten(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, store) as views:
        await remember(views, store)
        await views.rebuilds.rebuild()
        caught_up: list[Any] = []

        async def finish(_: SqliteVersions, view: Any) -> None:
            caught_up.append(view)

        monkeypatch.setattr(SqliteVersions, "finish", finish)
        async with views.graph.turn:
            going = asyncio.create_task(views.rebuilds.back())
            await reaches(lambda: caught_up)
            views.rebuilds.stop()
            await asyncio.gather(going, return_exceptions=True)
        monkeypatch.undo()
        await forget(views, store)
    async with house(tmp_path, store, keeping=True) as views:
        await reaches(lambda: views.graph.named == "sqlite-1")
        await views.rebuilds.idle()
        assert found(tmp_path / "graph") == []
