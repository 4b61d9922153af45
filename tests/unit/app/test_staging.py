"""Archives that wait for their review: each a file, never more than allowed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from core.apps.archive.staged_archives import Staged
from pcloud.errors import NotFound, Rejected, Unavailable


@pytest.fixture
def staged(tmp_path):
    staged = Staged(tmp_path / "staged", longest=100, at_most=2)
    staged.clear()
    return staged


def open_full(self: Path, mode: str) -> BinaryIO:
    """Open `/dev/full`, the kernel's own full disk."""
    return open("/dev/full", "wb")  # noqa: PTH123


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def test_archive_in_pieces_becomes_a_file_named_by_its_hash(staged, tmp_path):
    place = await staged.receive(pieces(b"one", b"two"))
    assert place.read_bytes() == b"onetwo" and place.name == hashlib.sha256(b"onetwo").hexdigest()
    assert staged.place(place.name) == place == staged.put(b"onetwo")
    assert list((tmp_path / "staged").iterdir()) == [place]


async def test_too_long_or_aborted_archive_leaves_nothing(staged, tmp_path):
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise ConnectionResetError

    with pytest.raises(Rejected, match="longer than 100 bytes"):
        await staged.receive(pieces(*[b"x" * 30] * 4))
    with pytest.raises(ConnectionResetError):
        await staged.receive(broken())
    assert list((tmp_path / "staged").iterdir()) == []


async def test_archive_without_room_fails_with_advice_and_no_leftovers(staged, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("core.apps.archive.staged_archives.Path.open", open_full)
        for work in (staged.receive(pieces(b"one", b"two")), asyncio.to_thread(staged.put, b"one")):
            with pytest.raises(
                Unavailable, match=r"the archive could not be written to .* No space left on device; make room"
            ):
                await work
    assert list((tmp_path / "staged").iterdir()) == []
    assert (await staged.receive(pieces())).read_bytes() == b""


def test_the_oldest_goes_but_not_while_it_is_used(staged):
    first = staged.put(b"1")
    os.utime(first, (0, 0))
    with staged.using(first):
        second, third = staged.put(b"2"), staged.put(b"3")
        staged.drop(first)
        assert first.exists()
    os.utime(second, (time.time() - 3601,) * 2)
    with pytest.raises(NotFound):
        staged.place(second.name)
    assert not first.exists() and staged.place(third.name) == third
