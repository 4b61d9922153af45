"""An export whose object store can't be read removes nothing of an earlier one, and is not complete."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.export.ledger import FetchedObject, Ledger
from core.export.target import STATE, SUMS
from core.export.write import write_export
from pcloud.errors import NotFound, Unavailable

FILE, OWNER = "objects/images/cat.jpg", "object/images/cat.jpg"
ABOUT = {"cloud": "cloud", "revision": "1", "apps": {}, "types": {}, "schema": ""}


class ExportedNode:
    """A node without nodes in its graph, with these apps, on which each call fails with this error."""

    def __init__(self, *apps: tuple[str, str], fails: Exception | None = None) -> None:
        self._apps, self._fails = apps, fails

    async def ask(self, method: str, path: str, *, json_body: Any = None) -> Any:
        if (method, path) == ("GET", "/apps"):
            return [{"name": name, "provides": [role]} for name, role in self._apps]
        if self._fails:
            raise self._fails
        return {"result": {"buckets": []}}

    async def lines(self, method: str, path: str) -> AsyncGenerator[dict[str, Any]]:
        yield {"graph": ABOUT}


REMOVED = ExportedNode(("notes", "other-role"), fails=NotFound("no installed app provides the role"))
REMOVING = ExportedNode(("object-store", "object-storage"), fails=NotFound("no installed app provides the role"))
OUTDATED = ExportedNode(("object-store", "object-storage"), fails=NotFound("object-store has no action 'usage'"))
EMPTIED = ExportedNode(("object-store", "object-storage"))


async def export(node: ExportedNode, folder: Path) -> dict[str, Any]:
    return await write_export(node, folder / "export", folder / "data", lambda step, detail: None)


async def earlier_export(folder: Path) -> Path:
    """An export that has one object."""
    await export(REMOVED, folder)
    with closing(Ledger(folder / "export" / STATE, "cloud")) as ledger:
        ledger.place(OWNER, FILE)
        ledger.written(OWNER, "0" * 64, 3)
        ledger.add_object("images", "cat.jpg", FetchedObject("1", 3, "now", "image/jpeg", OWNER))
        ledger.commit()
    file = folder / "export" / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cat")
    return file


@pytest.mark.parametrize("node", [REMOVED, REMOVING, OUTDATED], ids=["removed", "removing", "outdated"])
async def test_export_without_its_object_store_removes_nothing(node: ExportedNode, tmp_path: Path) -> None:
    file = await earlier_export(tmp_path)
    for _ in range(2):
        with pytest.raises(Unavailable, match="nothing was removed"):
            await export(node, tmp_path)
        assert file.read_bytes() == b"cat" and (tmp_path / "export" / SUMS).exists()


async def test_export_removes_an_object_that_was_deleted(tmp_path: Path) -> None:
    file = await earlier_export(tmp_path)
    await export(EMPTIED, tmp_path)
    assert not file.exists()


@pytest.mark.parametrize("node", [REMOVING, OUTDATED], ids=["removing", "outdated"])
async def test_unreadable_object_store_is_not_an_empty_one(node: ExportedNode, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can't be read"):
        await export(node, tmp_path)
    assert not (tmp_path / "export" / SUMS).exists()


async def test_cloud_without_an_object_store_is_exported(tmp_path: Path) -> None:
    assert (await export(REMOVED, tmp_path))["objects"] == 0
