"""Backups: how long a cloud of 10,000 events and 1 GB of pictures takes to be backed up, proven, and brought back from nothing; and the
next backup, of little that is new.

The restored cloud must be the same: each object's bytes by hash, the events and the graph by the record.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.pictures import photographs
from core.apps import packed
from tests.forked import run_command
from tests.integration.node.conftest import s3_client
from tests.node_process import NodeProcess, wait_until

__all__ = ["measure_backup"]

APPS = Path(__file__).parent / "apps"
EVENTS = 10_000
TOGETHER = 1000  # events in one mutation
PICTURES, SIZE = 250, 4_000_000  # bytes of each: a photograph, then random bytes, which nothing can compress
LATER = 10  # pictures between the first backup and the second
LIMIT = 3600.0
ADD = "mutation($input: [AddPast_ThingInput!]!) { addPast_Thing(input: $input) { past_Thing { id } } }"
IMAGES = "{ aggregateImageImporter_Image { count } }"


@dataclass(frozen=True, slots=True)
class Objects:
    """Uploads to one bucket. `hashes`: SHA-256 by key."""

    s3: dict[str, str]
    hashes: dict[str, str]

    def upload(self, count: int, name: str) -> None:
        _, data = photographs(1, seed=9)[0]
        client = s3_client(self.s3)
        for number in range(count):
            body, key = data + os.urandom(SIZE - len(data)), f"{name}/{number:04}.jpg"
            client.put_object(Bucket=self.s3["bucket"], Key=key, Body=body)
            self.hashes[key] = hashlib.sha256(body).hexdigest()

    def found(self, s3: dict[str, str]) -> dict[str, str]:
        """The hashes of what is in the bucket of another cloud."""
        client = s3_client(s3)

        def one(key: str) -> str:
            return hashlib.sha256(client.get_object(Bucket=s3["bucket"], Key=key)["Body"].read()).hexdigest()

        with ThreadPoolExecutor(2) as threads:
            return dict(zip(self.hashes, threads.map(one, self.hashes), strict=True))


def measure_backup(folder: Path) -> list[Figure]:
    """On a node of its own, whose data folder is removed before the restore."""
    node, place = NodeProcess(folder / "backed-up"), folder / "backups"
    with node:
        node.install("object-store", "image-importer")
        node.install_archive(packed(APPS / "past").data)
        objects = Objects(pair(node), {})
        objects.upload(PICTURES, "first")
        wait_until(lambda: images(node) == PICTURES, seconds=LIMIT, what="the images of all pictures")
        add_events(node)
        first = pcloud(node, "backup", place)
        stored = size_of(place)
        objects.upload(LATER, "later")
        wait_until(lambda: images(node) == PICTURES + LATER, seconds=LIMIT, what="the images of the later pictures")
        second = pcloud(node, "backup", place)
        proven = pcloud(node, "backup", "--verify", place)
    shutil.rmtree(node.data)
    restored = pcloud(node, "restore", place)
    began = time.perf_counter()
    with node:
        wait_until(lambda: works(node), seconds=LIMIT, what="the apps of the restored cloud")
        starting = time.perf_counter() - began
        check_same(node, objects, second, restored)
    return [
        Figure("first backup: events", "", (first["events"],), bound=EVENTS, least=True),
        Figure("first backup: size of the cloud", "MB", (first["size"] / 1e6,)),
        Figure("first backup: size on the other disk", "MB", (stored / 1e6,)),
        Figure("first backup: time", "min", (first["seconds"] / 60,)),
        Figure("first backup: the node stands still", "s", (first["paused"],)),
        Figure(f"second backup, after {LATER} more pictures: new bytes", "MB", (second["added"] / 1e6,)),
        Figure("second backup: growth on the other disk", "MB", ((size_of(place) - stored) / 1e6,)),
        Figure("second backup: time", "min", (second["seconds"] / 60,)),
        Figure("second backup: the node stands still", "s", (second["paused"],)),
        Figure("proof of a backup: time", "min", (proven["seconds"] / 60,)),
        Figure("restore into an empty folder: time", "min", (restored["seconds"] / 60,)),
        Figure("start of the restored cloud, until its apps work", "s", (starting,)),
        Figure("restored objects with the same bytes", "", (len(objects.hashes),), bound=PICTURES + LATER, least=True),
    ]


def check_same(node: NodeProcess, objects: Objects, backup: dict[str, Any], restored: dict[str, Any]) -> None:
    """Raises `AssertionError` if the restored cloud is not the one of the backup."""
    same = ("cloud", "sequence", "events", "entities", "apps")
    assert {name: backup[name] for name in same} == {name: restored[name] for name in same}
    assert objects.found(pair(node)) == objects.hashes, "an object of the restored cloud has other bytes"
    assert images(node) == len(objects.hashes)
    assert node.json("graph", "verify", "--json")["equal"]


def add_events(node: NodeProcess) -> None:
    """As many as are missing."""
    for first in range(node.status()["events"], EVENTS, TOGETHER):
        things = [{"number": number} for number in range(first, min(first + TOGETHER, EVENTS))]
        node.graphql(ADD, {"input": things})


def images(node: NodeProcess) -> int:
    return node.graphql(IMAGES)["aggregateImageImporter_Image"]["count"]


def pair(node: NodeProcess) -> dict[str, str]:
    return node.json("device", "pair", "--json")["s3"]


def works(node: NodeProcess) -> bool:
    running = all(app["state"] == "RUNNING" and not app["error"] for app in node.status()["apps"])
    return running and node.cli("call", "role:object-storage/usage", check=False).returncode == 0


def pcloud(node: NodeProcess, *arguments: object) -> dict[str, Any]:
    """Run the command and return what it reports."""
    environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(node.data), "PCLOUD_BACKUP_PASSPHRASE": "measured and gone"}
    done = run_command((*map(str, arguments), "--json"), environment, seconds=LIMIT)
    if done.returncode:
        raise RuntimeError(f"pcloud {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
