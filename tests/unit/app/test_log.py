"""An app's captured output: bounded, and never a reason to block the app."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from core.apps.process.log import AppLog, tail
from core.apps.process.log_follower import follow, newest
from eventstore.server.tail import Tail


def test_the_newest_lines_are_kept_within_the_bound(tmp_path: Path) -> None:
    log = AppLog(tmp_path / "app.log", limit=1000, longest=100)
    for number in range(200):
        log.write(b"line %d" % number)
    log.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert [line.partition(" ")[2] for line in log.tail(2)] == ["line 198", "line 199"]


def test_full_disk_loses_lines_and_blocks_no_app() -> None:
    """Reading an app's output must not stop: an app whose pipe is full hangs."""
    log = AppLog(Path("/dev/full"), limit=10**6, longest=100)
    for _ in range(3):
        log.write(b"lost")
    log.close()


def test_log_continues_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppLog(tmp_path / "app.log", limit=100, longest=100)
    log.write(b"x" * 50)

    def full(*args: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        log.write(b"y" * 50)
    log.write(b"z" * 50)
    log.close()
    assert [line[-1] for line in tail(log.path, 5)] == ["x", "z"]


@pytest.mark.parametrize("lines", [0, 1, 15, 1000])
async def test_following_continues_right_after_the_newest_lines(tmp_path: Path, lines: int) -> None:
    """Also across rotations: each file holds about eleven lines."""
    log = AppLog(tmp_path / "app.log", limit=350, longest=100)
    for number in range(18):
        log.write(b"%06d" % number)
    expected = log.tail(lines)
    assert len(expected) == min(lines, 18)
    async with aclosing(follow(log.path, lines)) as following:
        found = [await anext(following) for _ in expected]
        assert await anext(following) is None
        for number in range(18, 24):
            log.write(b"%06d" % number)
        found += [await anext(following) for _ in range(6)]
    log.close()
    assert found[: len(expected)] == expected
    assert [line and line[-6:] for line in found[-7:]] == [f"{number:06}" for number in range(24 - len(found[-7:]), 24)]


def test_a_turn_just_when_following_begins_shows_no_line_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppLog(tmp_path / "app.log", limit=150, longest=100)
    for text in (b"one", b"two"):
        log.write(text)
    read = Tail.lines

    def turning(reader: Tail) -> list[str]:
        found = read(reader)
        for number in range(3):
            log.write(b"x" * 20 + b"%d" % number)
        return found

    monkeypatch.setattr(Tail, "lines", turning)
    reader = Tail(log.path, most=1000)
    assert [line.partition(" ")[2] for line in newest(reader, log.path, 10)] == ["one", "two"]
    monkeypatch.undo()
    assert [line[-1] for line in reader.lines()] == ["0", "1", "2"]
    reader.close()
    log.close()
