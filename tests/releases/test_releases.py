"""The data of each release opens with today's program, and nothing of it is lost or moved. The tests run in this order, on one node."""

from __future__ import annotations

import hashlib
import json
import urllib.request

from tests.releases.conftest import Opened
from tests.waiting import wait_until

IMAGES = "{ queryImageImporter_Image { sha256 } }"


def test_graph_equals_the_releases_log(opened: Opened) -> None:
    assert "equal" in opened.node.cli("graph", "verify").stdout
    assert opened.node.status()["events"] >= opened.facts["events"]
    found = {image["sha256"] for image in opened.node.graphql(IMAGES)["queryImageImporter_Image"]}
    assert found == set(opened.facts["objects"].values())


def test_apps_keep_running_with_their_grants(opened: Opened) -> None:
    running = dict.fromkeys(opened.facts["apps"], "RUNNING")
    wait_until(lambda: opened.states() == running, what=f"{running}")
    grants = {one["target"]: one["state"] for one in opened.node.json("app", "grants", "image-importer", "--json")}
    assert grants == {
        "role:object-storage/create-bucket-with-webhook": "approved", "role:object-storage/get-object": "approved",
    }  # fmt: skip


def test_runs_are_known(opened: Opened) -> None:
    """The failed ones: those that are done leave after 90 days."""
    failed = opened.node.json("runs", "--state", "FAILED", "--json")
    assert len(failed) == opened.facts["runs"]["FAILED"] and "broken" in json.dumps(failed)


def test_credentials_still_open_the_cloud(opened: Opened) -> None:
    for token in (opened.facts["owner"], opened.facts["device"]["token"]):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{opened.node.address}/graphql", b'{"query": "{ __typename }"}', headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert json.load(answer)["data"]


def test_s3_answers_at_the_devices_address_over_upgrade_and_restart(opened: Opened) -> None:
    check_pictures(opened)
    for app in ("object-store", "image-importer"):
        opened.node.cli("app", "upgrade", app, "--yes")
    check_pictures(opened)
    opened.node.stop()
    opened.node.start()
    check_pictures(opened)


def test_new_device_and_new_picture_after_the_upgrade(opened: Opened) -> None:
    port = opened.facts["device"]["s3"]["endpoint"].rpartition(":")[2]
    assert opened.node.json("device", "pair", "--json")["s3"]["endpoint"].endswith(f":{port}")
    content = opened.storage().get_object(Bucket="images", Key="holiday/0.jpg")["Body"].read() + b"\0"
    opened.storage().put_object(Bucket="images", Key="new.jpg", Body=content)
    digest = hashlib.sha256(content).hexdigest()
    wait_until(
        lambda: {"sha256": digest} in opened.node.graphql(IMAGES)["queryImageImporter_Image"], what="the new picture"
    )


def test_rollback_returns_to_the_releases_app(opened: Opened) -> None:
    """Whose archive today's rules would refuse."""
    opened.node.cli("app", "rollback", "image-importer", "--yes")
    assert opened.states()["image-importer"] == "RUNNING"
    assert "equal" in opened.node.cli("graph", "verify").stdout


def check_pictures(opened: Opened) -> None:
    storage = opened.storage()
    found = {
        key: hashlib.sha256(storage.get_object(Bucket="images", Key=key)["Body"].read()).hexdigest()
        for key in opened.facts["objects"]
    }
    assert found == opened.facts["objects"]
