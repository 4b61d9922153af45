"""The data folder: private, used by one node at a time, and its sockets at paths short enough for a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.node.folder import DataFolder, open_folder, runtime_folder
from core.settings import parse_listen
from pcloud.errors import Rejected


def test_the_folder_and_its_parts_are_the_owners_alone(tmp_path: Path) -> None:
    with open_folder(tmp_path / "node", reserve=0) as folder:
        key = folder.key("session.key")
        private = [folder.root, folder.secrets, folder.apps, folder.runtime]
        assert [path for path in private if path.stat().st_mode & 0o077] == []
        assert (folder.secrets / "session.key").stat().st_mode & 0o777 == 0o600
        assert len(key) == 32 and folder.key("session.key") == key and folder.key("other.key") != key


def test_folder_is_refused_until_its_first_user_has_left(tmp_path: Path) -> None:
    with (
        open_folder(tmp_path / "node", reserve=0),
        pytest.raises(Rejected, match="another node runs on the data folder"),
        open_folder(tmp_path / "node", reserve=0),
    ):
        pass
    with open_folder(tmp_path / "node", reserve=0):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Rejected, match=r"can't be used.*--data"), open_folder(tmp_path / "file", reserve=0):
        pass


def test_a_socket_folder_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / ("long" * 30))
    folder.runtime.mkdir(mode=0o755)
    folder.runtime.chmod(0o755)
    try:
        with pytest.raises(Rejected, match="open to others"), open_folder(folder.root, reserve=0):
            pass
    finally:
        folder.runtime.rmdir()


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / ("link" * 30))
    (tmp_path / "private").mkdir(mode=0o700)
    folder.runtime.symlink_to(tmp_path / "private")
    try:
        with pytest.raises(Rejected, match="a link"), open_folder(folder.root, reserve=0):
            pass
    finally:
        folder.runtime.unlink()


def test_long_path_moves_sockets_to_a_private_temporary_folder(tmp_path: Path) -> None:
    short, one, other = Path("/srv/n"), tmp_path / ("a" * 90), tmp_path / ("b" * 90)
    assert runtime_folder(short) == short / "run"
    assert runtime_folder(one) != runtime_folder(other)
    assert len(bytes(runtime_folder(one) / "admin.sock")) < 108


def test_sockets_are_at_the_same_place_whatever_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = tmp_path / ("a" * 90)
    before = runtime_folder(one)
    monkeypatch.setattr("tempfile.tempdir", str(one))
    assert runtime_folder(one) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        (":1", ("127.0.0.1", 1)),
    ],
)
def test_addresses_to_listen_on_are_read(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "h:65536", "h:-1"])
def test_malformed_listen_address_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="HOST:PORT"):
        parse_listen(text)


def test_second_graphs_of_a_killed_node_are_removed(tmp_path: Path) -> None:
    """They would keep what is forgotten afterwards."""
    folder = DataFolder(tmp_path / "node")
    left = [folder.root / name for name in ("export", "verify-abc1")]
    for one in left:
        one.mkdir(parents=True)
        (one / "graph.sqlite").write_bytes(b"what was forgotten")
    with open_folder(folder.root, reserve=0):
        assert not any(one.exists() for one in left)


def test_start_of_a_node_leaves_a_running_proof_alone_and_removes_a_killed_one(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "node")
    killed = folder.root / "proof-killed"
    killed.mkdir(parents=True)
    (killed / "proof.lock").touch()
    (killed / "log").write_bytes(b"what was forgotten")
    with folder.proof() as running:
        assert not killed.exists(), "the next proof removes it"
        (running / "log").write_bytes(b"half")
        killed.mkdir()
        (killed / "proof.lock").touch()
        with open_folder(folder.root, reserve=0):
            assert (running / "log").exists() and not killed.exists()
    assert not running.exists()
