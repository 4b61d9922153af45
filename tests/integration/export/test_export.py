"""An export is the whole cloud in plain files, which other programs can read."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import exiv2
import pytest
from graphql import parse

from core.cli import main
from core.export.target import ExportFolder
from tests.forked import FORKS
from tests.integration.export.conftest import HOSTILE, Cloud, done, pcloud, refused


@pytest.fixture(scope="module")
def exported(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target") / "export"
    report = done(cloud.node.data, "export", folder)
    assert report["photographs"] == 2 and report["objects"] == len(cloud.bytes) and report["missing"] == 0
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def xmp(path: Path) -> dict[str, str]:
    """Read by exiv2 with Adobe's toolkit, as photo programs do."""
    image = exiv2.ImageFactory.open(str(path))
    image.readMetadata()
    return {one.key(): one.toString() for one in image.xmpData()}


def assert_complete(folder: Path) -> None:
    """Every file has the SHA-256 that is listed, and no other file is there."""
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    named = {line[66:] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == named | {"SHA256SUMS", "state.sqlite"}


def test_photographs_have_their_names_dates_and_bytes(cloud: Cloud, exported: Path) -> None:
    found = sorted(path for path in (exported / "photographs").rglob("*") if path.is_file() and path.suffix != ".xmp")
    assert all(path.parent == exported / "photographs/2024" and path.name.startswith("2024-05-17 ") for path in found)
    assert {path.read_bytes() for path in found} == {cloud.bytes["one/IMG_1.jpg"], cloud.bytes["two/img_1.JPG"]}
    assert len({path.name.casefold() for path in found}) == 2


def test_sidecar_is_read_by_another_program(cloud: Cloud, exported: Path) -> None:
    cat = hashlib.sha256(cloud.bytes["one/IMG_1.jpg"]).hexdigest()
    (path,) = {one["path"] for one in lines(exported / "objects.jsonl") if one["sha256"] == cat}
    facts = xmp(exported / f"{path}.xmp")
    assert facts["Xmp.dc.title"] == 'lang="x-default" Zoë & <Mia>'
    assert facts["Xmp.exif.DateTimeOriginal"] == "2024-05-17T00:30:00.000+02:00"
    assert facts["Xmp.exif.GPSLatitude"] == "48,15.000000N" and facts["Xmp.exif.GPSLongitude"] == "11,30.000000W"
    assert facts["Xmp.iptcExt.PersonInImage"] == "Ada"
    assert facts["Xmp.mwg-rs.Regions/mwg-rs:RegionList[1]/mwg-rs:Area/stArea:x"] == "0.200000"


def test_every_object_is_found_by_its_key_under_a_safe_name(cloud: Cloud, exported: Path) -> None:
    listed = {one["key"]: one for one in lines(exported / "objects.jsonl")}
    assert set(cloud.bytes) == set(listed)
    paths = [listed[key]["path"] for key in HOSTILE]
    assert len({path.casefold() for path in paths}) == len(HOSTILE)
    for key in HOSTILE:
        file = exported / listed[key]["path"]
        assert file.resolve().is_relative_to(exported / "objects" / "images") and file.read_bytes() == key.encode()
        assert listed[key]["type"] == "text/x-test"
        for part in Path(listed[key]["path"]).parts:
            assert part.isprintable() and not set(part) & set('<>:"/\\|?*') and not part.startswith(".")
            assert part == part.rstrip(" .") and part.partition(".")[0].casefold() not in ("con", "aux")


def test_graph_has_every_node_and_relation_with_its_schema(cloud: Cloud, exported: Path) -> None:
    cat, coffee = (hashlib.sha256(cloud.bytes[key]).hexdigest() for key in ("one/IMG_1.jpg", "two/img_1.JPG"))
    assert {one["id"] for one in lines(exported / "graph/ImageImporter_Image.jsonl")} == {cat, coffee}
    albums = {one["id"]: one for one in lines(exported / "graph/Albums_Album.jsonl")}
    assert albums["Cats"]["fields"]["stars"] == 9007199254740993 and albums["Cats"]["fields"]["mood"] == "BRIGHT"
    assert albums["Cats"]["relations"] == {"pictures": [cat], "cover": [cat]} and albums["Empty"]["relations"] == {}
    (face,) = lines(exported / "graph/FaceDetector_ImageSegment.jsonl")
    assert face["id"] == "by hand" and face["relations"] == {"image": [cat]}
    first, second = sorted(lines(exported / "graph/Albums_Remark.jsonl"), key=lambda one: "answers" in one["relations"])
    assert second["relations"] == {"album": ["Cats"], "answers": [first["id"]]}
    schema = parse((exported / "graph/schema.graphql").read_text())
    declared = {definition.name.value for definition in schema.definitions}  # type: ignore[attr-defined]
    assert {"ImageImporter_Image", "Albums_Album", "Albums_Mood"} <= declared and not any(
        "Core" in one for one in declared
    )


def test_sums_are_checked_by_sha256sum_and_name_every_file(exported: Path) -> None:
    assert_complete(exported)


def test_no_credential_is_in_an_export(cloud: Cloud, exported: Path) -> None:
    for path in exported.rglob("*"):
        if path.is_file():
            assert cloud.node.token.encode() not in path.read_bytes(), path


def test_second_export_fetches_only_what_is_new_and_drops_what_is_gone(cloud: Cloud, exported: Path) -> None:
    listed = {one["key"]: one["path"] for one in lines(exported / "objects.jsonl")}
    damaged, inode = exported / listed["a:b?*.bin"], (exported / listed["Read.me"]).stat().st_ino
    damaged.write_bytes(b"A:b?*.bin")  # of the same length
    cloud.s3.delete_object(Bucket="images", Key="~/x")
    del cloud.bytes["~/x"]
    cloud.put("new", b"new")
    report = done(cloud.node.data, "export", exported)
    assert report["fetched"] == 2 and report["objects"] == len(cloud.bytes)
    assert damaged.read_bytes() == b"a:b?*.bin" and (exported / listed["Read.me"]).stat().st_ino == inode
    assert not (exported / listed["~/x"]).exists()
    assert {one["key"] for one in lines(exported / "objects.jsonl")} == set(cloud.bytes)


def test_target_with_something_else_or_inside_the_cloud_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = refused(pcloud(cloud.node.data, "export", tmp_path), 2)
    assert "letter.txt" in said and [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert "inside the data folder" in refused(pcloud(cloud.node.data, "export", cloud.node.data / "export-here"), 2)
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refused(pcloud(cloud.node.data, "export", tmp_path / "file"), 2)


def killed_export(data: Path, folder: Path, moves: int, after: bool) -> None:
    """`pcloud export`, killed at this number of files: before or after the last one gets its name."""
    real, left = ExportFolder.move_part, [moves]

    def move_part(self: ExportFolder, path: str) -> None:
        left[0] -= 1
        if left[0] > 0 or after:
            real(self, path)
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    ExportFolder.move_part = move_part  # type: ignore[method-assign]
    sys.argv = ["pcloud", "export", str(folder), "--data", str(data)]
    main()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moves", [1, 8, 28])
def test_killed_export_goes_on_and_leaves_nothing(cloud: Cloud, tmp_path: Path, moves: int, after: bool) -> None:
    folder = tmp_path / "export"
    process = FORKS.Process(target=killed_export, args=(cloud.node.data, folder, moves, after))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (folder / "SHA256SUMS").exists()
    report = done(cloud.node.data, "export", folder)
    assert report["objects"] == len(cloud.bytes) and report["missing"] == 0
    # Five files of the graph come first; the object that was killed between its file's name and the note of it is fetched again.
    assert report["fetched"] <= len(cloud.bytes) - min(max(0, moves - 7), len(cloud.bytes))
    assert_complete(folder)
