"""The folder of a restore: it removes only what a restore has left there, and starts over from any point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.backup.target import PARTS, finish_target, open_target
from core.node.folder import DataFolder, open_folder
from pcloud.errors import Rejected


def put_in_place(folder: DataFolder) -> None:
    for part in PARTS:
        (folder.restoring / part).rename(folder.root / part)
    folder.restored.write_text("{}")


def marked(folder: DataFolder) -> None:
    folder.root.mkdir()
    folder.restore_mark.write_text("")


def begun(folder: DataFolder) -> None:
    with open_target(folder.root):
        pass


def filled(folder: DataFolder) -> None:
    begun(folder)
    for part in PARTS:
        (folder.restoring / part).mkdir()
        (folder.restoring / part / "file").write_text("old")


def half_moved(folder: DataFolder) -> None:
    filled(folder)
    (folder.restoring / "nats").rename(folder.root / "nats")


def all_moved(folder: DataFolder) -> None:
    filled(folder)
    put_in_place(folder)


def all_but_the_mark(folder: DataFolder) -> None:
    all_moved(folder)
    folder.restoring.rmdir()


@pytest.mark.parametrize("interrupted", [marked, begun, filled, half_moved, all_moved, all_but_the_mark])
def test_interrupted_restore_is_no_cloud_and_starts_over(
    tmp_path: Path, interrupted: Callable[[DataFolder], None]
) -> None:
    folder = DataFolder(tmp_path / "target")
    interrupted(folder)
    with pytest.raises(Rejected, match="was interrupted"), open_folder(folder.root, reserve=0):
        pass
    with open_target(folder.root) as target:
        assert {path.name for path in folder.root.iterdir()} == {"restoring", folder.restore_mark.name, "node.lock"}
        assert list(target.restoring.iterdir()) == []
        for part in PARTS:
            (target.restoring / part).mkdir()
        put_in_place(target)
        finish_target(target)
    assert {path.name for path in folder.root.iterdir()} == {*PARTS, "restored.json", "node.lock"}
    with open_folder(folder.root, reserve=0):
        pass
    with pytest.raises(Rejected, match="is not empty"), open_target(folder.root):
        pass


@pytest.mark.parametrize("mark", ["", "link", "file"])
@pytest.mark.parametrize("own", ["restoring/letter.txt", "letter.txt", "apps/letter.txt"])
def test_folder_of_something_else_is_left_as_it_is(tmp_path: Path, mark: str, own: str) -> None:
    folder = DataFolder(tmp_path / "target")
    for path in (own, "photos/cat.jpg", "restoring/draft.txt"):
        (folder.root / path).parent.mkdir(parents=True, exist_ok=True)
        (folder.root / path).write_text("mine")
    folder.root.chmod(0o755)
    if mark == "link":
        folder.restore_mark.symlink_to(folder.root / own)
    elif mark:
        folder.restore_mark.write_text("")
    before = {path: path.stat().st_mode for path in folder.root.rglob("*")} | {folder.root: folder.root.stat().st_mode}
    with pytest.raises(Rejected, match="is not empty"), open_target(folder.root):
        pass
    after = {path: path.stat().st_mode for path in folder.root.rglob("*")} | {folder.root: folder.root.stat().st_mode}
    assert {path: mode for path, mode in after.items() if path.name != "node.lock"} == before
    assert (folder.root / own).read_text() == "mine"


def test_restoring_folder_of_something_else_alone_is_left(tmp_path: Path) -> None:
    (tmp_path / "restoring").mkdir()
    (tmp_path / "restoring" / "draft.txt").write_text("mine")
    with pytest.raises(Rejected, match="is not empty"), open_target(tmp_path):
        pass
    assert (tmp_path / "restoring" / "draft.txt").read_text() == "mine"
