"""Files from packages: fetched by the real uv from an index of this test, whole or not at all, once for all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.shipped.fetched import FetchedFiles
from core.shipped.package import Package, read_packages
from pcloud.errors import Corrupt, Unavailable
from tests.integration.shipped.conftest import CONTENT, NAME, sha256
from tests.node_process import wait_until


def kept(files: FetchedFiles) -> list[str]:
    return sorted(path.name for path in (files.folder / "files").iterdir() if path.name != ".lock")


def test_a_file_is_fetched_once_with_progress(files: FetchedFiles, kennel: Package, index: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    assert files.held([kennel]) is None
    assert files.provide([kennel], lambda *one: seen.append(one)) == {"weights/dog.bin": CONTENT}
    assert seen[-1] == ("kennel 1.0", 40_000, 40_000)
    assert kept(files) == [f"{sha256(CONTENT)[:12]}-dog.bin"]
    (index / NAME).unlink()
    assert files.provide([kennel], lambda *_: pytest.fail("it is here")) == files.held([kennel])


def test_a_package_with_another_hash_is_refused(files: FetchedFiles, kennel: Package) -> None:
    with pytest.raises(Unavailable, match=r"dog\.bin can't be fetched out of the package kennel 1\.0.*(?s:.*)--files"):
        files.provide([replace(kennel, sha256="0" * 64)])
    assert kept(files) == []


def test_a_file_with_another_hash_is_refused(files: FetchedFiles, kennel: Package) -> None:
    (file,) = kennel.files
    with pytest.raises(Corrupt, match=rf"kennel/data/dog\.bin in kennel 1\.0 is {sha256(CONTENT)}, not 1{{64}}"):
        files.provide([replace(kennel, files=(replace(file, sha256="1" * 64),))])
    assert kept(files) == []


def test_a_damaged_file_is_fetched_again(files: FetchedFiles, kennel: Package) -> None:
    files.provide([kennel])
    [stored] = (files.folder / "files").glob("*dog.bin")
    stored.write_bytes(CONTENT[:-1])
    assert files.held([kennel]) is None
    assert files.provide([kennel]) == {"weights/dog.bin": CONTENT}
    assert stored.read_bytes() == CONTENT


def test_too_little_room_is_said_before_anything_is_fetched(files: FetchedFiles, kennel: Package) -> None:
    with pytest.raises(Unavailable, match=r"must be free for a moment, [\d,]+ MB are"):
        files.provide([replace(kennel, unpacked=10**18)])
    assert kept(files) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, kennel: Package) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable, match=r"into .*/file/files: Not a directory"):
        FetchedFiles(tmp_path / "file").provide([kennel])


def test_a_list_that_is_damaged_is_named() -> None:
    with pytest.raises(Corrupt, match=r"from-packages\.json of dog can't be read.*install PCloud again"):
        read_packages(b'[{"name": 1}]', "from-packages.json of dog")


# What another process does; it says whether it has fetched.
FETCH = """
import sys, msgspec
from pathlib import Path
from core.shipped.fetched import FetchedFiles
from core.shipped.package import Package
package = msgspec.json.decode(sys.argv[2], type=Package)
seen = []
FetchedFiles(Path(sys.argv[1])).provide([package], lambda *one: seen.append(one))
print(any(done for _, done, _ in seen))
"""


def start(files: FetchedFiles, package: Package) -> subprocess.Popen[str]:
    import msgspec

    words = [sys.executable, "-c", FETCH, str(files.folder), msgspec.json.encode(package).decode()]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_of_processes_at_once_one_fetches(files: FetchedFiles, kennel: Package) -> None:
    processes = [start(files, kennel) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(said) == ["False", "False", "True"]
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_process_that_is_killed_halfway_leaves_nothing_that_counts(
    files: FetchedFiles, kennel: Package, stalled: None, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = start(files, kennel)
    wait_until(lambda: any((files.folder / "files").glob(".part-*/cache")), what="a fetch under way")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert [name for name in kept(files) if not name.startswith(".part-")] == []
    monkeypatch.setenv("UV_FIND_LINKS", str(index))
    assert files.provide([kennel]) == {"weights/dog.bin": CONTENT}
    assert kept(files) == [f"{sha256(CONTENT)[:12]}-dog.bin"]


def test_a_fetch_is_ended_by_what_watches_it(files: FetchedFiles, kennel: Package, stalled: None) -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise Unavailable(f"no more of {what}")

    with pytest.raises(Unavailable, match=r"no more of kennel 1\.0"):
        files.provide([kennel], stop)
    assert kept(files) == []


def test_waiting_for_another_process_is_bounded(tmp_path: Path, kennel: Package, stalled: None) -> None:
    other = start(FetchedFiles(tmp_path / "cache"), kennel)
    wait_until(lambda: any((tmp_path / "cache" / "files").glob(".part-*/cache")), what="a fetch under way")
    try:
        with pytest.raises(Unavailable, match="still being fetched by another process"):
            FetchedFiles(tmp_path / "cache", seconds=1).provide([kennel])
    finally:
        other.kill()
        other.communicate()


def test_a_fetch_that_stalls_ends(tmp_path: Path, kennel: Package, stalled: None) -> None:
    with pytest.raises(Unavailable, match="did not arrive within 1 s"):
        FetchedFiles(tmp_path / "cache", seconds=1).provide([kennel])
