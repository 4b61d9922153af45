"""Thumbnails are made once and stored, even if several viewers ask at once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from photos.thumbnails import FAILED_SECONDS, Thumbnails, thumbnail_key
from PIL import Image

from pcloud.bounded import close_bounded
from pcloud.errors import NotFound, Rejected, Unavailable
from pcloud.objects import Objects

from .conftest import Store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def thumbnails(behind: Store, clock: Clock) -> AsyncIterator[Thumbnails]:
    objects = Objects(behind)
    yield Thumbnails(lambda: behind, objects, clock)
    await objects.close()
    await close_bounded()


def originals_read(behind: Store) -> int:
    return sum(1 for method, name in behind.asked if method == "GET" and name.startswith("images/"))


async def test_many_first_looks_at_once_decode_once(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path]
) -> None:
    behind.add("a", picture())
    made = await asyncio.gather(*(thumbnails.get("a", size) for size in ["tile", "screen"] * 10))
    assert {Image.open(io.BytesIO(data)).size for data in made} == {(480, 320), (1200, 800)}
    assert originals_read(behind) == 1
    assert sorted(name for method, name in behind.asked if method == "PUT") == sorted(
        thumbnail_key("a00", size) for size in ("tile", "screen")
    )


@pytest.mark.parametrize("refusals", [1, 2])
async def test_an_address_that_has_ended_is_asked_for_again(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path], refusals: int
) -> None:
    behind.add("a", picture())
    behind.refusals = refusals
    for _ in range(refusals):
        with pytest.raises(Unavailable, match="403"):
            await thumbnails.get("a", "tile")
    assert Image.open(io.BytesIO(await thumbnails.get("a", "tile"))).size == (480, 320)


async def test_what_is_kept_is_not_made_again(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path]
) -> None:
    behind.add("a", picture())
    assert await thumbnails.make("a")
    assert await thumbnails.make("a")
    await thumbnails.get("a", "tile")
    assert originals_read(behind) == 1


async def test_a_tile_that_was_just_shown_is_shown_without_asking(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path]
) -> None:
    behind.add("a", picture())
    await thumbnails.get("a", "tile")
    asked = len(behind.asked), behind.queries
    await thumbnails.get("a", "tile")
    assert (len(behind.asked), behind.queries) == asked


async def test_a_broken_picture_is_refused_and_not_tried_at_each_view(
    behind: Store, thumbnails: Thumbnails, clock: Clock, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not an image")
    behind.add("b", broken)
    for _ in range(3):
        with pytest.raises(Rejected, match="images/b can't be shown"):
            await thumbnails.get("b", "tile")
    assert originals_read(behind) == 1
    clock.now += FAILED_SECONDS + 1
    with pytest.raises(Rejected):
        await thumbnails.get("b", "screen")
    assert originals_read(behind) == 2


async def test_the_trigger_says_why_a_picture_has_no_thumbnail(
    behind: Store, thumbnails: Thumbnails, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"GIF89a")
    behind.add("b", broken)
    with pytest.raises(Rejected, match="images/b can't be shown"):
        await thumbnails.make("b")


async def test_a_deleted_image_does_not_fail_the_trigger(thumbnails: Thumbnails) -> None:
    assert not await thumbnails.make("gone")
    with pytest.raises(NotFound):
        await thumbnails.get("gone", "tile")


async def test_another_size_does_not_exist(thumbnails: Thumbnails) -> None:
    with pytest.raises(NotFound, match="tile, screen"):
        await thumbnails.get("a", "huge")


async def test_the_first_requester_may_leave(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path]
) -> None:
    behind.add("a", picture())
    first = asyncio.create_task(thumbnails.get("a", "tile"))
    second = asyncio.create_task(thumbnails.get("a", "tile"))
    while not originals_read(behind):
        await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert originals_read(behind) == 1


async def test_nothing_of_an_original_stays_on_the_disk(
    behind: Store, thumbnails: Thumbnails, picture: Callable[..., Path]
) -> None:
    path = picture()
    behind.add("a", path)
    path.unlink()
    await thumbnails.get("a", "tile")
    assert [path for path in behind.data.rglob("*") if path.is_file()] == []
