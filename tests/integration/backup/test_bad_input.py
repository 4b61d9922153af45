"""What a backup, its proof and a restore say of something wrong: one sentence, an exit code, and nothing half done."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from core.backup.place import parse_place
from core.backup.record import RECORD
from core.backup.repository import Repository
from tests.integration.backup.conftest import PASSPHRASE, BackedUp, pcloud, refused
from tests.node_process import NodeProcess


@pytest.fixture
def copied(backed_up: BackedUp, tmp_path: Path) -> Path:
    return Path(shutil.copytree(backed_up.place, tmp_path / "copied"))


def is_no_cloud(data: Path) -> bool:
    """Whether a node refuses the folder, or it has nothing of a cloud."""
    return not data.exists() or (data / "pcloud-restore.json").exists() or not (data / "nats").exists()


def packs(place: Path) -> list[Path]:
    return [path for path in sorted((place / "data").rglob("*")) if path.is_file()]


def test_flipped_bit_is_found_by_verify_and_restore(copied: Path, tmp_path: Path) -> None:
    for number, pack in enumerate(packs(copied)):
        whole = pack.read_bytes()
        pack.chmod(0o600)
        middle = len(whole) // 2
        pack.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        said = refused(pcloud(tmp_path / "none", "backup", "--verify", copied), 7)
        assert "damaged" in said and str(copied) in said
        target = tmp_path / f"target-{number}"
        assert "damaged" in refused(pcloud(target, "restore", copied), 7)
        assert is_no_cloud(target)
        pack.write_bytes(whole)
    assert pcloud(tmp_path / "none", "backup", "--verify", copied).returncode == 0


def test_backup_copied_only_in_part_is_damaged(copied: Path, tmp_path: Path) -> None:
    pack = max(packs(copied), key=lambda one: one.stat().st_size)
    pack.chmod(0o600)
    os.truncate(pack, pack.stat().st_size // 2)
    assert "damaged" in refused(pcloud(tmp_path / "none", "backup", "--verify", copied), 7)
    assert "damaged" in refused(pcloud(tmp_path / "target", "restore", copied), 7)
    pack.unlink()
    assert "damaged" in refused(pcloud(tmp_path / "none", "backup", "--verify", copied), 7)
    assert is_no_cloud(tmp_path / "target")


def test_wrong_passphrase_is_refused(backed_up: BackedUp, tmp_path: Path) -> None:
    for arguments in (("backup",), ("backup", "--verify"), ("restore",)):
        data = backed_up.node.data if arguments == ("backup",) else tmp_path / "target"
        said = refused(pcloud(data, *arguments, backed_up.place, passphrase="wrong"), 5)
        assert "passphrase" in said and "wrong horse" not in said
    assert is_no_cloud(tmp_path / "target")


def test_empty_folder_has_no_backup(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "missing"):
        assert "holds no backup" in refused(pcloud(tmp_path / "none", "backup", "--verify", place), 3)
        assert "holds no backup" in refused(pcloud(tmp_path / "target", "restore", place), 3)
    assert not (tmp_path / "missing").exists()


def test_backups_of_two_clouds_are_kept_apart(copied: Path, node: NodeProcess) -> None:
    before = sorted(path.name for path in (copied / "snapshots").iterdir())
    for arguments in (("backup",), ("backup", "schedule")):
        assert "another cloud" in refused(pcloud(node.data, *arguments, copied), 2)
    assert not list(node.data.glob("backup-schedule*"))
    assert sorted(path.name for path in (copied / "snapshots").iterdir()) == before


def test_backup_of_a_newer_pcloud_is_refused(tmp_path: Path) -> None:
    root, place = tmp_path / "root", tmp_path / "newer"
    root.mkdir()
    (root / RECORD).write_text('{"format": 99, "pcloud": "9.9.0", "what": "is new"}')

    async def store() -> None:
        repository = Repository(parse_place(str(place)), PASSPHRASE)
        await repository.make()
        await repository.store(root, "0123456789abcdef", "", lambda record: None)

    asyncio.run(store())
    for data, arguments in ((tmp_path / "none", ("backup", "--verify")), (tmp_path / "target", ("restore",))):
        assert "PCloud 9.9.0" in refused(pcloud(data, *arguments, place), 2)
    assert is_no_cloud(tmp_path / "target")
