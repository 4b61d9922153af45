"""What a backup says of the place that it stores to, and of another backup: one sentence, an exit code, and nothing half done."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from core.cli.client import open_client
from core.node.backups.known import known_places
from tests.integration.backup.conftest import BackedUp, pcloud, refused


def test_second_backup_at_once_is_refused(backed_up: BackedUp, tmp_path: Path) -> None:
    async def while_one_runs() -> str:
        async with open_client(backed_up.node.data) as client, client.instant_copy():
            second = await asyncio.to_thread(pcloud, backed_up.node.data, "backup", tmp_path / "second")
            return refused(second, 4)

    assert "another backup of this cloud is running" in asyncio.run(while_one_runs())
    assert pcloud(backed_up.node.data, "backup", tmp_path / "second").returncode == 0


def test_next_backup_can_begin_when_one_has_ended(backed_up: BackedUp) -> None:
    async def one_after_the_other() -> None:
        async with open_client(backed_up.node.data) as client:
            for _ in range(10):
                async with client.instant_copy() as copy:
                    assert Path(copy["root"]).is_dir()
                assert not Path(copy["root"]).exists()

    asyncio.run(one_after_the_other())


def test_restore_refuses_a_folder_in_use(backed_up: BackedUp, tmp_path: Path) -> None:
    assert "in use" in refused(pcloud(backed_up.node.data, "restore", backed_up.place), 2)
    assert backed_up.node.status()["events"] >= backed_up.events
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "not empty" in refused(pcloud(tmp_path / "mine", "restore", backed_up.place), 2)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_place_that_lost_its_backups_is_not_begun_again(backed_up: BackedUp, tmp_path: Path) -> None:
    """An unplugged disk leaves its empty mount point."""
    place = tmp_path / "disk"
    assert pcloud(backed_up.node.data, "backup", place).returncode == 0
    shutil.rmtree(place)
    place.mkdir()
    assert "mounted" in refused(pcloud(backed_up.node.data, "backup", place), 3)
    assert list(place.iterdir()) == []
    assert pcloud(backed_up.node.data, "backup", place, "--new").returncode == 0


def test_restore_of_a_time_before_all_backups_names_the_first(backed_up: BackedUp, tmp_path: Path) -> None:
    long_ago = pcloud(tmp_path / "target", "restore", backed_up.place, "--before", "2020-01-01")
    assert "the first one is from 20" in refused(long_ago, 3)
    assert "is no time" in refused(pcloud(tmp_path / "target", "restore", backed_up.place, "--before", "then"), 2)
    later = pcloud(tmp_path / "target", "restore", backed_up.place, "--before", "2100-01-01")
    assert later.returncode == 0, later.stderr
    (known,) = known_places(tmp_path / "target").values()
    assert known.proven == known.taken > 0, "a restore reads and compares everything"


def restic_that(tmp_path: Path, script: str) -> str:
    """A folder whose `restic` runs the script before the real one becomes `$@`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "restic"
    program.write_text(f'#!/bin/sh\n{script}\nexec {shutil.which("restic")} "$@"\n')
    program.chmod(0o755)
    return str(folder)


def test_place_that_vanishes_during_the_backup(backed_up: BackedUp, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    assert pcloud(backed_up.node.data, "backup", place).returncode == 0
    path = restic_that(tmp_path, f'[ "$1" = backup ] && mv {place} {place}.gone')
    assert "mounted" in refused(pcloud(backed_up.node.data, "backup", place, path=path), 3)
    shutil.move(f"{place}.gone", place)
    assert pcloud(backed_up.node.data, "backup", place).returncode == 0


def test_full_disk_of_the_backups_is_named(backed_up: BackedUp, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    full = 'echo "Save(<data/1>) returned error, retrying after 1s: write: no space left on device" >&2; exec sleep 600'
    path = restic_that(tmp_path, f'if [ "$1" = backup ]; then {full}; fi')
    assert "is full" in refused(pcloud(backed_up.node.data, "backup", place, path=path), 6)
    assert "no complete backup" in refused(pcloud(tmp_path / "target", "restore", place), 3)
    assert pcloud(backed_up.node.data, "backup", place).returncode == 0


def test_missing_restic_is_named(backed_up: BackedUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "install Debian's package restic" in refused(pcloud(backed_up.node.data, "backup", tmp_path / "disk"), 6)
