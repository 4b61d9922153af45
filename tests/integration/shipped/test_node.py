"""A node fetches a bundled app's missing files when the app is first requested, and the download does not delay a stop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from core.apps import read_archive
from core.shipped.package import Package
from pcloud.errors import Unavailable
from pcloud.packing import packed_folder
from tests.integration.app.platform import open_platform
from tests.integration.shipped.conftest import CONTENT, sha256
from tests.node_process import wait_until


@pytest.fixture
def shipped(tmp_path: Path, kennel: Package) -> Path:
    """A folder of archives as in a wheel, with one app that lacks the file."""
    source, target = tmp_path / "source", tmp_path / "shipped"
    source.mkdir()
    target.mkdir()
    (source / "app.yaml").write_text("name: dogs\nversion: 1.0.0\n")
    (source / "from-packages.json").write_bytes(msgspec.json.encode([kennel]))
    (target / "dogs.tar.gz").write_bytes(packed_folder(source))
    return target


async def test_a_node_completes_an_app_when_it_is_asked_for(tmp_path: Path, shipped: Path) -> None:
    async with open_platform(tmp_path / "node", bundled=shipped, files=tmp_path / "cache") as platform:
        assert [one["name"] for one in await platform.apps.list_bundled()] == ["dogs"]
        assert not (tmp_path / "cache").exists(), "nothing is fetched before"
        archive = await platform.apps.bundled("dogs")
        assert read_archive(archive).files["weights/dog.bin"] == len(CONTENT)
        assert (await platform.apps.review(archive)).author.bundled
    assert (tmp_path / "cache" / "files" / f"{sha256(CONTENT)[:12]}-dog.bin").read_bytes() == CONTENT


async def test_a_node_that_stops_ends_a_fetch(tmp_path: Path, shipped: Path, stalled: None) -> None:
    async with open_platform(tmp_path / "node", bundled=shipped, files=tmp_path / "cache") as platform:
        asking = asyncio.create_task(platform.apps.bundled("dogs"))
        fetching = (tmp_path / "cache" / "files").glob
        await asyncio.to_thread(wait_until, lambda: any(fetching(".part-*/cache")), what="a fetch under way")
        began = time.monotonic()
    with pytest.raises(Unavailable, match="the node is stopping"):
        await asking
    assert time.monotonic() - began < 15
