"""The apps that come with PCloud, as folders in a clone and as archives in a wheel: the same bytes, fetched files included."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from core.apps.archive.archive import read_archive
from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.bundled import BundledApps
from core.apps.archive.pack import packed
from core.shipped.fetched import FetchedFiles
from pcloud.errors import NotFound, Unavailable
from pcloud.packing import packed_folder

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
LISTED = [
    {
        "name": "kennel", "version": "1.0", "sha256": "0" * 64, "unpacked": 1, "platform": "x86_64-manylinux_2_28",
        "python": "3.12", "files": [{"path": "kennel/dog.bin", "to": "weights/dog.bin", "sha256": SHA256}],
    }
]  # fmt: skip


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The app's folder as in a clone after `just setup`."""
    folder = tmp_path / "clone" / "dogs"
    (folder / "weights").mkdir(parents=True)
    (folder / "app.yaml").write_text("name: dogs\nversion: 1.0.0\n")
    (folder / "bark.py").write_text("print('woof')\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "from-packages.json").write_text(json.dumps(LISTED))
    (folder / "weights" / "dog.bin").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def shipped(tmp_path: Path, whole: Path) -> Path:
    """The folder of archives as in a wheel."""
    folder = tmp_path / "wheel"
    folder.mkdir()
    (folder / "dogs.tar.gz").write_bytes(packed_folder(whole, without={"weights/dog.bin"}))
    return folder


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchedFiles:
    """No network, and nothing fetched yet."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return FetchedFiles(tmp_path / "cache")


def fetch(files: FetchedFiles) -> None:
    (files.folder / "files").mkdir(parents=True)
    (files.folder / "files" / f"{SHA256[:12]}-dog.bin").write_bytes(WEIGHTS)


def test_shipped_app_with_fetched_files_equals_the_clones(whole: Path, shipped: Path, files: FetchedFiles) -> None:
    fetch(files)
    bundled = BundledApps(shipped, ArchiveBounds(), files)
    assert list(bundled.manifests()) == ["dogs"]
    assert bundled.archive("dogs") == packed(whole).data
    assert bundled.sha256("dogs") == packed(whole).sha256


def test_an_app_that_lacks_a_file_is_not_handed_out(shipped: Path, files: FetchedFiles) -> None:
    bundled = BundledApps(shipped, ArchiveBounds(), files)
    assert bundled.sha256("dogs") == ""
    with pytest.raises(Unavailable, match=r"dog\.bin can't be fetched"):
        bundled.archive("dogs")


def test_a_bundled_app_is_known_before_its_files_are_fetched(whole: Path, shipped: Path, files: FetchedFiles) -> None:
    bundled = BundledApps(shipped, ArchiveBounds(), files)
    assert bundled.holds(packed(whole))
    assert not bundled.holds(read_archive(shipped / "dogs.tar.gz")), "it lacks the weights"
    (whole / "weights" / "dog.bin").write_bytes(b"others")
    assert not bundled.holds(packed(whole))
    assert not files.folder.exists(), "nothing is fetched to compare"


def test_a_clone_without_the_fetched_files_completes_the_app(whole: Path, files: FetchedFiles) -> None:
    expected = packed(whole).data
    (whole / "weights" / "dog.bin").unlink()
    fetch(files)
    assert BundledApps(whole.parent, ArchiveBounds(), files).archive("dogs") == expected


def test_an_unknown_app_is_not_found(shipped: Path, files: FetchedFiles) -> None:
    with pytest.raises(NotFound, match="'cats' comes with PCloud: dogs"):
        BundledApps(shipped, ArchiveBounds(), files).archive("cats")
