"""A node's start never fails because of a view: whatever the file of versions names, one is folded from the log in an
available store."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from eventstore import EventStore
from pcloud.errors import Rejected
from projections.graph.contract import Select
from tests.contracts.projections.test_rebuild import COUNT, IMAGE, house, store

__all__ = ["store"]  # the fixture: a server with a log


NAMED = (
    {"current": "neo4j-1"},
    {"current": "neo4j-1", "previous": "sqlite-2", "building": "neo4j-3"},
    {"current": "sqlite-1", "building": "neo4j-2"},
    {"current": ""},
)


async def test_a_missing_store_does_not_prevent_the_start(
    store: EventStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, named in enumerate(NAMED):
        folder = tmp_path / str(number)
        (folder / "graph").mkdir(parents=True)
        (folder / "graph" / "versions.json").write_text(json.dumps(named))
        async with house(folder, store, keeping=True) as views:
            assert views.graph.named.startswith("sqlite-")
            assert len(await views.graph.fetch(Select(IMAGE, ("title",), first=5))) == 5
            assert views.graph.checkpoint.sequence >= COUNT
            again = await views.rebuilds.rebuild()
            assert again.version.startswith("sqlite-") and not views.rebuilds.chosen.building
    assert "neo4j-1 of a view is in a store that this node doesn't have" in caplog.text


async def test_going_back_into_a_missing_store_is_refused(store: EventStore, tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "versions.json").write_text(json.dumps({"current": "sqlite-1", "previous": "neo4j-2"}))
    async with house(tmp_path, store) as views:
        with pytest.raises(Rejected, match="use one of sqlite"):
            await views.rebuilds.back()
        await views.rebuilds.rebuild()
        assert (views.graph.named, views.rebuilds.chosen.previous) == ("sqlite-3", "sqlite-1")


# As the first release, commit 85fe145, left it; and as a later one may.
MADE = {"an older": (1, ["epoch", 7, "ab"]), "a newer": (99, {"epoch": "epoch", "sequence": 7})}


@pytest.mark.parametrize("age", MADE)
async def test_file_of_another_version_is_named_so_and_rebuilt(
    store: EventStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, age: str
) -> None:
    async with house(tmp_path, store):
        pass
    made_by(tmp_path / "graph" / "graph.sqlite", *MADE[age])
    async with house(tmp_path, store, keeping=True) as views:
        assert views.graph.named == "sqlite-2"
        assert views.graph.checkpoint.sequence >= COUNT
    said = [record.getMessage() for record in caplog.records if "graph.sqlite" in record.getMessage()]
    assert len(said) == 1 and f"was made by {age} PCloud" in said[0] and "it is built again beside it" in said[0]
    assert "damaged" not in caplog.text and not [record for record in caplog.records if record.levelname == "ERROR"]


def made_by(path: Path, version: int, checkpoint: Any) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE view SET value = ? WHERE name = 'version'", (version,))
        connection.execute("UPDATE view SET value = ? WHERE name = 'checkpoint'", (json.dumps(checkpoint),))
    connection.close()
