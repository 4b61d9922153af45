"""Code is put in place completely or not at all."""

from __future__ import annotations

import pytest

from core.apps.process.credentials import bus_key, web_key
from core.apps.process.folders import AppFolders

SHA = "ab" * 32


def test_code_that_was_half_unpacked_is_unpacked_again(tmp_path):
    folders = AppFolders.of(tmp_path, "tiny")

    def unpack(folder, content="1"):
        folder.mkdir(parents=True)
        (folder / "a").write_text(content)

    def fail(folder):
        unpack(folder, "half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        folders.put_code(SHA, fail)
    assert not folders.code(SHA).exists()
    folders.put_code(SHA, unpack)
    assert (folders.code(SHA) / "a").read_text() == "1"


def test_other_code_is_dropped_and_data_kept(tmp_path):
    folders = AppFolders.of(tmp_path, "tiny")
    folders.make()
    for sha in (SHA, "cd" * 32):
        folders.put_code(sha, lambda folder: folder.mkdir(parents=True))
    folders.drop_code(keep=SHA)
    assert [entry.name for entry in (folders.root / "code").iterdir()] == [folders.code(SHA).name]
    assert folders.data.is_dir()


def test_secrets_are_made_once_and_for_this_user_alone(tmp_path):
    folders = AppFolders.of(tmp_path, "tiny")
    public, key = bus_key(folders.bus_seed), web_key(folders.web_key)
    assert (bus_key(folders.bus_seed), web_key(folders.web_key)) == (public, key)
    assert public.startswith("U") and len(key) == 32
    for file in (folders.bus_seed, folders.web_key):
        assert file.stat().st_mode & 0o777 == 0o600
