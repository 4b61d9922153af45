"""A cloud with apps and pictures is backed up while it works, and is the same after a restore."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pcloud.errors import Unavailable
from tests.browsing import open_browsing
from tests.integration.backup.conftest import pcloud
from tests.integration.node.conftest import s3_client
from tests.integration.node.test_devices import asked
from tests.node_process import NodeProcess, wait_until

IMAGES = "{ queryImageImporter_Image(order: {asc: id}) { id place } }"
APPS = "{ queryCore_App(order: {asc: id}) { id version state } queryCore_Grant(order: {asc: id}) { id state } }"


def images(node: NodeProcess) -> list[dict[str, Any]]:
    return node.graphql(IMAGES)["queryImageImporter_Image"]


def objects(s3: Any) -> dict[str, str]:
    """SHA-256 by key of all that the bucket holds."""
    found: dict[str, str] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="images"):
        for one in page.get("Contents", ()):
            body = s3.get_object(Bucket="images", Key=one["Key"])["Body"].read()
            found[one["Key"]] = hashlib.sha256(body).hexdigest()
    return found


@dataclass
class Writer:
    """Uploads pictures and changes the graph, without a pause, until it is stopped. `acknowledged`: the keys. What the node refuses
    for a while, on a machine that copies slowly, it repeats."""

    node: NodeProcess
    s3: Any
    picture: bytes
    acknowledged: list[str] = field(default_factory=list[str])
    errors: list[BaseException] = field(default_factory=list[BaseException])
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        try:
            while not self.ended.is_set():
                number += 1
                key = f"while/{number:04}.jpg"
                self.s3.put_object(Bucket="images", Key=key, Body=self.picture + str(number).encode())
                self.acknowledged.append(key)
                changed = f'mutation {{ updateImageImporter_Image(input: {{filter: {{}}, set: {{lens: "{number} mm"}}}}) {{ count }} }}'
                wait_until(partial(self.accepted, changed), what="the node to accept a change again")
        except BaseException as error:
            self.errors.append(error)

    def accepted(self, mutation: str) -> bool:
        try:
            self.node.graphql(mutation)
        except Unavailable:
            return False
        return True


@dataclass
class Story:
    """`before`: what had been acknowledged before the backup began."""

    node: NodeProcess
    restored: NodeProcess
    place: Path
    device: dict[str, Any]
    before: list[str]
    all_objects: dict[str, str]
    apps: dict[str, Any]
    history: list[dict[str, Any]]
    first: dict[str, Any] = field(default_factory=dict[str, Any])
    second: dict[str, Any] = field(default_factory=dict[str, Any])
    done: dict[str, Any] = field(default_factory=dict[str, Any])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("same-cloud")
    with NodeProcess(folder / "node") as node:
        node.install("object-store", "image-importer")
        device = node.json("device", "pair", "--name", "phone", "--json")
        asyncio.run(signed_in(node))
        s3 = s3_client(device["s3"])
        s3.put_object(Bucket="images", Key="large.bin", Body=hashlib.shake_256(b"large").digest(12 * 2**20))
        for name in ("cat.jpg", "coffee.jpg"):
            s3.upload_file(str(photos / name), "images", name)
        wait_until(lambda: len(images(node)) >= 2, what="two images")
        writer = Writer(node, s3, (photos / "cat.jpg").read_bytes())
        thread = threading.Thread(target=writer.run)
        thread.start()
        wait_until(lambda: len(writer.acknowledged) >= 3 or writer.errors, what="three uploads")
        before = ["cat.jpg", "coffee.jpg", "large.bin", *writer.acknowledged]
        first = pcloud(node.data, "backup", folder / "backups", "--json")
        writer.ended.set()
        thread.join()
        assert first.returncode == 0, first.stderr
        assert writer.errors == [] and len(writer.acknowledged) > len(before) - 3
        story = Story(
            node,
            NodeProcess(folder / "restored"),
            folder / "backups",
            device,
            before,
            objects(s3),
            node.graphql(APPS),
            [],
        )
        story.first = json_of(first)
        story.history = history_of(node)
        node.stop()
        done = pcloud(story.restored.data, "restore", story.place, "--json")
        assert done.returncode == 0, done.stderr
        story.done = json_of(done)
        with story.restored:
            wait_until(running(story.restored), what="the apps of the restored cloud")
            yield story


def history_of(node: NodeProcess) -> list[dict[str, Any]]:
    what = "revision time kind actor cause tx change"
    query = f'query($id: ID!) {{ nodeHistory(type: "ImageImporter_Image", id: $id, first: 1000) {{ {what} }} }}'
    cat = '{ queryImageImporter_Image(filter: {place: {eq: "images/cat.jpg"}}) { id } }'
    (image,) = node.graphql(cat)["queryImageImporter_Image"]
    return node.graphql(query, {"id": image["id"]})["nodeHistory"]


def json_of(result: Any) -> Any:
    return json.loads(result.stdout)


def running(node: NodeProcess) -> Any:
    return lambda: (
        all(app["state"] == "RUNNING" and not app["error"] for app in node.status()["apps"]) and reachable(node)
    )


def reachable(node: NodeProcess) -> bool:
    return node.cli("call", "role:object-storage/usage", check=False).returncode == 0


async def signed_in(node: NodeProcess) -> None:
    async with open_browsing(node.address) as browser:
        await browser.visit(node.json("signin-link", "--json")["link"])


def test_node_goes_on_while_it_is_backed_up(story: Story) -> None:
    """The writer met no error that lasts, and the node stood still for a copy of small files only."""
    assert story.first["size"] > 12 * 2**20 and story.first["apps"].keys() == {"object-store", "image-importer"}
    assert story.first["paused"] < story.first["seconds"]


def test_restored_log_and_graph_are_those_of_the_backup(story: Story) -> None:
    same = ("cloud", "sequence", "events", "entities", "apps")
    assert {name: story.first[name] for name in same} == {name: story.done[name] for name in same}
    assert story.done["epoch"] != story.first["epoch"] and story.restored.status()["epoch"] == story.done["epoch"]
    # Times, transactions and actors too; a revision names the epoch. The cloud of before went on after the backup.
    before = {entry["tx"]: {**entry, "revision": ""} for entry in story.history}
    after = {entry["tx"]: {**entry, "revision": ""} for entry in history_of(story.restored)}
    assert after and after == {tx: before.get(tx) for tx in after}
    assert story.restored.json("graph", "verify", "--json")["equal"]


def test_restored_apps_and_decisions_are_the_same(story: Story) -> None:
    assert story.restored.graphql(APPS) == story.apps


def test_every_image_of_the_restored_log_has_its_bytes(story: Story) -> None:
    device = story.restored.json("device", "pair", "--name", "new phone", "--json")
    stored = objects(s3_client(device["s3"]))
    assert set(story.before) <= stored.keys() <= story.all_objects.keys()
    assert stored == {key: story.all_objects[key] for key in stored}
    places = {image["place"].partition("/")[2] for image in images(story.restored)}
    assert places <= stored.keys()
    pictures = {key for key in stored if key.endswith(".jpg")}
    wait_until(
        lambda: {image["place"].partition("/")[2] for image in images(story.restored)} >= pictures,
        what="the images of all objects, also of those that waited in a queue",
    )


def test_devices_and_sessions_of_before_have_ended(story: Story) -> None:
    states = {one["id"]: one["state"] for one in story.restored.json("device", "list", "--json")}
    assert states[story.device["id"]] == "revoked"
    assert asked(f"{story.restored.address}/graphql", story.device["token"]) == 401
    with pytest.raises(ClientError) as refused:
        s3_client(story.device["s3"]).list_objects_v2(Bucket="images")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert story.restored.json("owner", "sessions", "--json") == []


def test_next_backup_stores_only_what_is_new(story: Story) -> None:
    second = pcloud(story.restored.data, "backup", story.place, "--json")
    assert second.returncode == 0, second.stderr
    assert json_of(second)["added"] < story.first["added"] / 2
    assert pcloud(story.restored.data, "backup", "--verify", story.place).returncode == 0
