"""The same files give the same bytes, and files that do not belong to the app are left out."""

from __future__ import annotations

import os
import shutil

import pytest

from core.apps.archive.pack import pack, packed
from pcloud.errors import Rejected


def test_packing_is_reproducible(app_folder, tmp_path):
    first = pack(app_folder, tmp_path / "first.tar.gz")
    again = tmp_path / "copy" / "tiny"
    shutil.copytree(app_folder, again)
    for file in again.rglob("*"):
        os.utime(file, (1, 1))
    (again / "app.yaml").chmod(0o600)
    second = pack(again, tmp_path / "second.tar.gz")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_a_changed_byte_or_mode_changes_the_archive(app_folder):
    before = packed(app_folder)
    (app_folder / "tiny" / "__main__.py").chmod(0o755)
    changed_mode = packed(app_folder)
    (app_folder / "tiny" / "__main__.py").write_text("print('other')\n")
    assert len({before.content, changed_mode.content, packed(app_folder).content}) == 3


def test_caches_stay_out_and_built_files_go_in(app_folder):
    for path in (
        "node_modules/a/index.js", "web/node_modules/b.js", "tiny/__pycache__/x.pyc", ".venv/bin/python", "tests/.pytest_cache/v",
        "web/dist/index.html", "web/dist/app.js.map", "weights/model.tflite", ".gitignore",
    ):  # fmt: skip
        (app_folder / path).parent.mkdir(parents=True, exist_ok=True)
        (app_folder / path).write_bytes(b"1")
    (app_folder / ".gitignore").write_text("dist/\nweights/\n")
    files = set(packed(app_folder).files)
    assert files == {"app.yaml", "tiny/__main__.py", "web/dist/index.html", "weights/model.tflite"}


def test_pcloudignore_leaves_more_out(app_folder):
    for path in ("web/src/main.ts", "src/keep.py", "notes.txt", "deep/notes.txt", "tests/test_a.py", "deep/tests/b"):
        (app_folder / path).parent.mkdir(parents=True, exist_ok=True)
        (app_folder / path).write_bytes(b"1")
    (app_folder / ".pcloudignore").write_text("# sources\nweb/src/\nnotes.txt\n/tests/\n")
    assert set(packed(app_folder).files) == {"app.yaml", "tiny/__main__.py", "src/keep.py", "deep/tests/b"}


def test_a_link_in_the_folder_is_named(app_folder):
    (app_folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(Rejected, match="link is a symbolic link to '/etc/passwd'"):
        packed(app_folder)


def test_a_folder_without_a_manifest_is_no_app(tmp_path):
    with pytest.raises(Rejected, match=r"no app\.yaml"):
        packed(tmp_path)
    with pytest.raises(Rejected, match="is not a folder"):
        packed(tmp_path / "missing")
