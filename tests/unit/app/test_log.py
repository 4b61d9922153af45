"""An app's captured output: bounded, and no reason to stop anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.app.log import AppLog, tail


def test_the_newest_lines_are_kept_within_the_bound(tmp_path: Path) -> None:
    log = AppLog(tmp_path / "app.log", limit=1000, longest=100)
    for number in range(200):
        log.write(b"line %d" % number)
    log.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert [line.partition(" ")[2] for line in log.tail(2)] == ["line 198", "line 199"]


def test_a_full_disk_loses_lines_and_stops_nobody() -> None:
    """Whoever reads an app's output must go on reading it: an app whose pipe is full hangs."""
    log = AppLog(Path("/dev/full"), limit=10**6, longest=100)
    for _ in range(3):
        log.write(b"lost")
    log.close()


def test_it_goes_on_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
