"""A cloud with photographs, people in them, files with hostile names, and an app of its own types; and what a command does with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.apps import packed
from tests.crashes.quick_node import QuickNode
from tests.forked import run_command
from tests.integration.node.conftest import s3_client
from tests.node_process import ROOT, NodeProcess, wait_until

COUNT = "{ aggregateImageImporter_Image { count } }"
FACES = """name: face-detector
version: 1.0.0
schema: schema.graphql
uses:
  - {read: image-importer/Image}
  - {extend: image-importer/Image}
"""
ALBUMS = """name: albums
version: 1.0.0
schema: schema.graphql
uses:
  - {read: image-importer/Image}
  - {extend: image-importer/Image}
"""
ALBUM_TYPES = """
enum Mood { BRIGHT DARK }
"Pictures that belong together."
type Album {
  name: String! @id @search(by: [term])
  mood: Mood
  tags: [String!]
  made: DateTime
  stars: Int64
  open: Boolean @default(value: true)
  pictures: [Image!] @hasInverse(field: albums)
  cover: Image
}
type Remark {
  text: String!
  album: Album!
  answers: Remark
  weight: Float
}
extend type Image @from(app: "image-importer") { albums: [Album!] @hasInverse(field: pictures) }
"""
# Keys that a file system, a shell or another computer would not take as they are.
HOSTILE = [
    "con/aux.txt", "a:b?*.bin", "Read.me", "read.me", "-rf ~", "café", "cafe\u0301", ".hidden", "trailing. ", "b" * 250 + ".bin",
    "folder/file", "FOLDER", "~/x", "emoji 👩‍👧.txt", "right\u202eto-left.txt",
]  # fmt: skip


@dataclass
class Cloud:
    """`bytes`: what was put, by key in the bucket `images`."""

    node: NodeProcess
    s3: Any
    bytes: dict[str, bytes]

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket="images", Key=key, Body=body, ContentType="text/x-test")
        self.bytes[key] = body

    def images(self, count: int) -> None:
        """Wait until the graph has so many images, and no object waits for its run."""
        wait_until(
            lambda: self.node.graphql(COUNT)["aggregateImageImporter_Image"]["count"] == count, what=f"{count} images"
        )
        wait_until(lambda: settled(self.node), what="the end of all runs")


def settled(node: NodeProcess) -> bool:
    status = node.status()
    return not status["waiting"]["objects"] and not status["runs"]["NEW"] and not status["runs"]["IN_PROGRESS"]


def pcloud(data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command(tuple(map(str, arguments)), {**os.environ, "PCLOUD_DATA_FOLDER": str(data)})


def done(data: Path, *arguments: object) -> Any:
    """What a command prints with `--json`."""
    result = pcloud(data, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of an error with this exit code."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr, result.stderr
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    return said


def add_apps(node: NodeProcess, folder: Path) -> None:
    """The real store and importer, face-detector's types without its detector, and an app that only has types."""
    node.install("object-store", "image-importer")
    for name, manifest, types in (
        ("faces", FACES, (ROOT / "apps/face-detector/schema.graphql").read_text()),
        ("albums", ALBUMS, ALBUM_TYPES),
    ):
        source = folder / name
        source.mkdir(exist_ok=True)
        (source / "app.yaml").write_text(manifest)
        (source / "schema.graphql").write_text(types)
        node.install_archive(packed(source).data)


def s3_of(node: NodeProcess) -> Any:
    return s3_client(node.json("device", "pair", "--name", "phone", "--json")["s3"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("export")
    with QuickNode(folder / "node") as node:
        add_apps(node, folder)
        cloud = Cloud(node, s3_of(node), {})
        for key, name in (("one/IMG_1.jpg", "cat.jpg"), ("two/img_1.JPG", "coffee.jpg"), ("again/cat.jpg", "cat.jpg")):
            cloud.put(key, (photos / name).read_bytes())
        for key in HOSTILE:
            cloud.put(key, key.encode())
        cloud.images(2)
        decide(node)
        yield cloud


def decide(node: NodeProcess) -> None:
    """What a person would: titles, dates, people, albums."""
    images = {
        one["place"]: one["id"]
        for one in node.graphql("{ queryImageImporter_Image { id place } }")["queryImageImporter_Image"]
    }
    cat = next(id for place, id in images.items() if "cat" in place or "IMG_1" in place)
    node.graphql(
        """mutation($all: [ID!], $cat: ID!, $cats: [ID!]) {
          a: updateImageImporter_Image(input: {filter: {id: $all}, set: {takenAt: "2024-05-16T22:30:00Z", takenAtZone: "+02:00"}}) {
            count }
          b: updateImageImporter_Image(input: {filter: {id: $cats}, set: {title: "Zoë & <Mia>", latitude: 48.25, longitude: -11.5}}) {
            count }
          c: addFaceDetector_ImageSegment(input: [{key: "by hand", x: 0.1, y: 0.2, width: 0.2, height: 0.4, confidence: 1,
            detector: "person", detectorVersion: "1", label: "Ada", image: {id: $cat}}]) { count }
          d: addAlbums_Album(input: [{name: "Cats", mood: BRIGHT, tags: ["zoo", "ärger"], stars: 9007199254740993,
            open: false, pictures: [{id: $cat}], cover: {id: $cat}}, {name: "Empty"}]) { count }
        }""",
        {"all": list(images.values()), "cat": cat, "cats": [cat]},
    )
    first = node.graphql(
        'mutation { addAlbums_Remark(input: [{text: "nice", album: {name: "Cats"}}]) { albums_Remark { id } } }'
    )["addAlbums_Remark"]["albums_Remark"][0]["id"]
    node.graphql(
        """mutation($first: ID!) { addAlbums_Remark(input: [{text: "indeed", album: {name: "Cats"}, weight: 2, answers: {id: $first}}]) {
          count } }""",
        {"first": first},
    )
