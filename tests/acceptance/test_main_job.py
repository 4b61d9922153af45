"""The complete main job: photographs uploaded to S3 become faces, search hits and a gallery."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.conftest import s3_client
from tests.node_process import NodeProcess, wait_until

FACES = """query { queryImageImporter_Image(first: 100) { place faceDetector_faceCount faceDetector_segments { x y width height } } }"""


def test_every_photograph_becomes_an_image_with_its_faces(house: NodeProcess) -> None:
    rows = house.graphql(FACES)["queryImageImporter_Image"]
    faces = {row["place"].rpartition("/")[2]: row["faceDetector_faceCount"] for row in rows}
    people = {"astronaut.jpg", "astronaut.png", "astronaut-upright.jpg", "admiral.jpg"}
    assert faces == dict.fromkeys(people, 1) | dict.fromkeys(("cat.jpg", "coffee.jpg", "rocket.jpg"), 0)
    assert all(len(row["faceDetector_segments"]) == row["faceDetector_faceCount"] for row in rows)


def test_only_the_broken_file_fails_and_says_why(house: NodeProcess) -> None:
    failed = house.json("runs", "--state", "FAILED", "--json")
    assert [run["args"]["key"] for run in failed] == ["broken.jpg"]
    assert failed[0]["error"]["code"] == "REJECTED" and "picture" in failed[0]["error"]["message"]


@pytest.mark.parametrize("words", ["astronaut", "astronat", "cat", "coff", "Example"])
def test_search_finds_by_word_prefix_and_with_one_typo(house: NodeProcess, words: str) -> None:
    query = "query($text: String!) { search(text: $text) { total } }"
    assert house.graphql(query, {"text": words})["search"]["total"] > 0


def test_the_graph_equals_its_log(house: NodeProcess) -> None:
    assert house.json("graph", "verify", "--json")["equal"]


def test_the_gallery_shows_every_picture_and_a_frame_for_every_face(gallery: Page) -> None:
    tiles = gallery.get_by_role("listitem").locator("img")
    expect(tiles).to_have_count(7)
    for tile in tiles.all():
        expect(tile).to_have_js_property("complete", True)
        assert tile.evaluate("image => image.naturalWidth") > 0
    gallery.get_by_role("link", name="Eileen Collins, astronaut").first.click()
    expect(gallery.get_by_test_id("face")).to_have_count(1)


def test_a_new_picture_appears_without_reload(house: NodeProcess, gallery: Page, photos: Path) -> None:
    tiles = gallery.get_by_role("listitem").locator("img")
    expect(tiles).to_have_count(7)
    s3 = house.device["s3"]
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.open(photos / "cat.jpg").rotate(180).save(buffer, "JPEG")
    s3_client(s3).put_object(Bucket=s3["bucket"], Key="upside-down-cat.jpg", Body=buffer.getvalue())
    expect(tiles).to_have_count(8, timeout=15_000)


def test_boto3_puts_lists_gets_in_parts_and_deletes(house: NodeProcess) -> None:
    s3 = house.device["s3"]
    client = s3_client(s3)
    data = b"pcloud" * (2 * 2**20)
    client.put_object(Bucket=s3["bucket"], Key="notes/small.bin", Body=b"small")
    upload = client.create_multipart_upload(Bucket=s3["bucket"], Key="notes/large.bin")["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), 5 * 2**20), 1):
        part = client.upload_part(
            Bucket=s3["bucket"],
            Key="notes/large.bin",
            UploadId=upload,
            PartNumber=number,
            Body=data[start : start + 5 * 2**20],
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(
        Bucket=s3["bucket"], Key="notes/large.bin", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    listed = {
        entry["Key"]: entry["Size"]
        for entry in client.list_objects_v2(Bucket=s3["bucket"], Prefix="notes/")["Contents"]
    }
    assert listed == {"notes/small.bin": 5, "notes/large.bin": len(data)}
    assert client.get_object(Bucket=s3["bucket"], Key="notes/large.bin")["Body"].read() == data
    for key in listed:
        client.delete_object(Bucket=s3["bucket"], Key=key)
    assert "Contents" not in client.list_objects_v2(Bucket=s3["bucket"], Prefix="notes/")


def test_rclone_copies_lists_and_deletes(house: NodeProcess, tmp_path: Path) -> None:
    s3 = house.device["s3"]
    configuration = tmp_path / "rclone.conf"
    configuration.write_text(
        f"[cloud]\ntype = s3\nprovider = SeaweedFS\nendpoint = {s3['endpoint']}\naccess_key_id = {s3['access_key']}\n"
        f"secret_access_key = {s3['secret_key']}\n"
    )
    rclone = [str(Path(sys.executable).parent / "rclone"), "--config", str(configuration), "--retries", "2"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "large.bin").write_bytes(b"x" * (12 * 2**20))
    (tmp_path / "folder" / "small.txt").write_text("small")
    remote = f"cloud:{s3['bucket']}/by-rclone"

    def run(*arguments: str) -> str:
        return subprocess.run([*rclone, *arguments], check=True, capture_output=True, text=True, timeout=60).stdout

    run("copy", "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi", str(tmp_path / "folder"), remote)
    assert set(run("lsf", remote).split()) == {"large.bin", "small.txt"}
    run("copy", remote, str(tmp_path / "back"))
    assert (tmp_path / "back" / "large.bin").read_bytes() == b"x" * (12 * 2**20)
    run("delete", remote)
    assert run("lsf", remote) == ""


def test_nothing_answers_without_credentials(house: NodeProcess) -> None:
    import urllib.error
    import urllib.request

    for host, path in (
        ("localhost", "/graphql"),
        ("photos.localhost", "/"),
        ("random-puppy.localhost", "/"),
        ("localhost", "/"),
    ):
        request = urllib.request.Request(house.address + path, headers={"Host": host})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 401


def test_the_processing_shows_in_the_status(house: NodeProcess) -> None:
    wait_until(lambda: house.status()["views"]["search"]["lag"] == 0, what="the search view")
    assert {app["name"] for app in house.status()["apps"]} == {
        "object-store",
        "image-importer",
        "face-detector",
        "photos",
        "random-puppy",
    }
