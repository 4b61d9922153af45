"""kill -9 of the node, of nats-server, of weed and of apps while photographs stream in: after a restart nothing acknowledged is missing
and nothing is stored twice."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from PIL import Image

from eventstore.server.ended import wait_ended
from tests.node_process import NodeProcess, wait_until

COUNT = 24
IMAGES = "{ queryImageImporter_Image(first: 100) { place sha256 faceDetector_faceCount faceDetector_segments { id } } }"


def pictures(photos: Path) -> dict[str, bytes]:
    """Return COUNT different small pictures, every second one with a face."""
    made: dict[str, bytes] = {}
    for number in range(COUNT):
        source = Image.open(photos / ("astronaut.jpg" if number % 2 else "cat.jpg")).convert("RGB")
        buffer = io.BytesIO()
        source.crop((number, 0, source.width, source.height - number)).save(buffer, "JPEG", quality=85)
        made[f"{number:02}.jpg"] = buffer.getvalue()
    return made


def put_until_acknowledged(s3: dict[str, str], key: str, data: bytes) -> None:
    """Like a phone: retry until the store acknowledges it."""
    client = boto3.client(
        "s3", endpoint_url=s3["endpoint"], aws_access_key_id=s3["access_key"], aws_secret_access_key=s3["secret_key"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=2, read_timeout=5),
    )  # fmt: skip

    def put() -> bool:
        try:
            client.put_object(Bucket=s3["bucket"], Key=key, Body=data)
        except Exception:
            return False
        return True

    wait_until(put, what=f"the upload of {key}")


def process_of(node: NodeProcess, *words: str) -> int:
    """Return the process below the node whose command line holds these words."""

    def find() -> int | None:
        for pid in node.children():
            try:
                line = " ".join(psutil.Process(pid).cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                return pid
        return None

    return wait_until(find, what=f"a process with {words}")


def all_images(node: NodeProcess) -> list[dict[str, Any]]:
    return node.graphql(IMAGES)["queryImageImporter_Image"]


def finished(node: NodeProcess) -> bool:
    rows = all_images(node)
    return len(rows) >= COUNT and all(row["faceDetector_faceCount"] is not None for row in rows)


def test_killing_any_process_loses_nothing_and_doubles_nothing(tmp_path: Path, photos: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        node.install("object-store", "image-importer", "face-detector")
        s3 = node.json("device", "pair", "--json")["s3"]
        victims = {
            4: lambda: os.kill(process_of(node, "weed", "mini"), signal.SIGKILL),
            8: lambda: os.kill(process_of(node, "-m", "image_importer"), signal.SIGKILL),
            12: lambda: os.kill(process_of(node, "nats-server"), signal.SIGKILL),
            16: lambda: (node.kill(), node.start()),
            20: lambda: os.kill(process_of(node, "-m", "face_detector"), signal.SIGKILL),
            22: lambda: os.kill(process_of(node, "-m", "object_store"), signal.SIGKILL),
        }
        for number, (key, data) in enumerate(pictures(photos).items()):
            put_until_acknowledged(s3, key, data)
            if number in victims:
                victims[number]()
        wait_until(lambda: finished(node), seconds=180, what="every picture's import and faces")
        rows = all_images(node)
        assert sorted(row["place"].rpartition("/")[2] for row in rows) == sorted(pictures(photos))
        assert len({row["sha256"] for row in rows}) == COUNT
        assert all(len(row["faceDetector_segments"]) == row["faceDetector_faceCount"] for row in rows)
        assert node.json("graph", "verify", "--json")["equal"]


def test_a_killed_node_leaves_no_process_behind(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    node.install("object-store", "random-puppy")
    children = [psutil.Process(pid) for pid in node.children()]
    assert len(children) >= 3
    node.kill()
    assert [process.name() for process in wait_ended(children, 20)] == []
