"""An export that is imported into an empty cloud and exported again is the same."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import core.export.read_back as read_back
from core.cli import main
from tests.crashes.quick_node import QuickNode
from tests.forked import FORKS
from tests.integration.export.conftest import Cloud, add_apps, done, pcloud, refused, s3_of
from tests.node_process import NodeProcess

MARKS = (1, 4, 9)


def killed_import(data: Path, folder: Path, marks: int) -> None:
    """`pcloud import`, killed before this note of how far it is, so that what it did last is done again."""
    real, left = read_back._save, [marks]

    def save(path: Path, mark: read_back.Mark) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, mark)

    read_back._save, read_back.OFTEN = save, 1
    sys.argv = ["pcloud", "import", str(folder), "--data", str(data)]
    main()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A new cloud, without apps at first."""
    with QuickNode(tmp_path_factory.mktemp("new") / "node") as node:
        yield node


@pytest.fixture(scope="module")
def exported(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target") / "export"
    done(cloud.node.data, "export", folder)
    return folder


def contents(folder: Path) -> dict[str, list[bytes]]:
    """The lines of all files that must be the same: not when and from which revision it was made, and when objects were stored. The order
    of nodes is that of ids which each cloud derives."""
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    changing = {"export.json", "objects.jsonl", "SHA256SUMS", "state.sqlite"}
    return {name: sorted(path.read_bytes().splitlines()) for name, path in paths.items() if name not in changing}


def test_missing_apps_are_named_before_anything_is_written(empty: NodeProcess, exported: Path) -> None:
    said = refused(pcloud(empty.data, "import", exported), 2)
    assert all(f"{app} " in said for app in ("albums", "face-detector", "image-importer", "object-store"))
    assert not (empty.data / "import.json").exists()


def test_cloud_with_something_in_it_is_refused(cloud: Cloud, exported: Path) -> None:
    assert "is not empty" in refused(pcloud(cloud.node.data, "import", exported), 2)


def test_damaged_export_is_refused_before_anything_is_written(
    empty: NodeProcess, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    add_apps(empty, tmp_path_factory.mktemp("apps"))
    path = exported / "graph" / "Albums_Album.jsonl"
    before = path.read_bytes()
    try:
        path.write_bytes(before.replace(b"zoo", b"zoO"))
        assert "Albums_Album.jsonl is damaged" in refused(pcloud(empty.data, "import", exported), 7)
    finally:
        path.write_bytes(before)
    assert empty.graphql("{ aggregateAlbums_Album { count } }")["aggregateAlbums_Album"]["count"] == 0


def test_import_that_is_killed_goes_on_to_the_same_cloud(
    cloud: Cloud, empty: NodeProcess, exported: Path, tmp_path: Path
) -> None:
    for marks in MARKS:
        process = FORKS.Process(target=killed_import, args=(empty.data, exported, marks))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    report = done(empty.data, "import", exported)
    assert 0 < report["objects"] < len(cloud.bytes)
    Cloud(empty, None, {}).images(2)
    done(empty.data, "export", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(exported)


def test_second_import_changes_nothing(empty: NodeProcess, exported: Path) -> None:
    empty.graphql('mutation { updateAlbums_Album(input: {filter: {}, set: {tags: ["later"]}}) { count } }')
    before = empty.status()["events"]
    report = done(empty.data, "import", exported)
    assert report["objects"] == report["transactions"] == 0 and empty.status()["events"] == before


def test_types_of_objects_are_kept(empty: NodeProcess) -> None:
    found = s3_of(empty).head_object(Bucket="images", Key="folder/file")
    assert found["ContentType"] == "text/x-test"
