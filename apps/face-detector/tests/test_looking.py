"""Pictures in real bounded processes, with the real detector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from face_detector import looking
from face_detector.looking import Looking
from face_detector.settings import Settings
from PIL import Image
from pillow_heif import register_heif_opener

from pcloud.bounded import close_bounded
from pcloud.errors import Rejected, Unavailable


@pytest.fixture
def portrait(tmp_path: Path, astronaut: Image.Image) -> Path:
    path = tmp_path / "portrait"
    astronaut.save(path, format="JPEG", quality=95)
    return path


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    await close_bounded()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "GIF"])
async def test_faces_are_found_in_every_format(tmp_path: Path, astronaut: Image.Image, format: str) -> None:
    register_heif_opener()  # also to write
    path = tmp_path / "picture"
    astronaut.save(path, format=format)
    found = await Looking(Settings()).look(path)
    assert (found.detector, found.version, len(found.faces)) == ("blazeface-full-range", "1", 1)


async def test_a_bad_picture_is_rejected_and_the_next_is_looked_at(portrait: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"no picture")
    looker = Looking(Settings())
    with pytest.raises(Rejected, match="decoded"):
        await looker.look(bad)
    assert (await looker.look(portrait)).faces


async def test_an_answer_that_makes_no_sense_is_the_picture_s_fault(
    portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken_over(*_: Any, **__: Any) -> Any:
        return {"detector": "blazeface", "version": 1, "faces": "none"}

    monkeypatch.setattr(looking, "decode", taken_over)
    with pytest.raises(Rejected, match="make no sense"):
        await Looking(Settings()).look(portrait)


async def test_a_picture_that_takes_too_long_is_given_up(portrait: Path) -> None:
    with pytest.raises(Rejected, match="longer than"):
        await Looking(Settings(seconds=0.001)).look(portrait)


async def test_a_picture_that_needs_too_much_memory_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "large"
    Image.new("1", (30_000, 30_000)).save(path, format="PNG")
    with pytest.raises(Rejected, match="memory"):
        await Looking(Settings(pixels=10**9, memory=600 * 2**20)).look(path)


async def test_many_pictures_at_once_give_the_same(portrait: Path) -> None:
    looker = Looking(Settings())
    found = await asyncio.gather(*(looker.look(portrait) for _ in range(6)))
    assert all(one == found[0] for one in found)


async def test_a_detector_that_cannot_start_is_not_the_picture_s_fault(portrait: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.tflite"):
        await Looking(Settings(detector="yunet", model=str(tmp_path / "none.tflite"))).look(portrait)
