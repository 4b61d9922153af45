"""Attacks by text that reads like an action: no argument, object name or field becomes a right of the app that passes it on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.conftest import Cloud
from tests.attacks.test_calls import ask, graphql
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")

OWN_OF_THE_STORE, OF_ANOTHER, UNKNOWN = "action:object-store/get-object", "action:other/secret", "action:photos/x"
WATCH = "role:object-storage/create-bucket-with-webhook"


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> Iterator[Cloud]:
    """A node with the object store, and `keeper`, which has a bucket and is notified of its objects."""
    cloud.install("object-store")
    told = """
  - name: told
    args: {bucket: String!, key: String!, etag: String, size: Int64, modified: String}"""
    trigger = """
triggers:
  - name: pass-on
    on: {type: keeper/Note, event: created}
    action: greet
    args: {name: "{{ node.text }}"}"""
    archive = cloud.installed(
        "keeper",
        **{"  - call: other/greet": f"  - call: {WATCH}", "  - name: secret": f"  - name: secret{told}{trigger}"},
    )
    cloud.install_archive(archive)
    status, body = cloud.attack(watch, WATCH, "inbox", "keeper/told", app="keeper")
    assert status == 200, body
    yield cloud


def watch(target: str, bucket: str, action: str) -> Any:
    from attacker.door import ask

    return ask("POST", f"/call/{target}", {"args": {"bucket": bucket}, "actions": {"webhook": action}})


def put(store: Cloud, *keys: str) -> None:
    import boto3
    from botocore.config import Config

    own = store.call("role:object-storage/issue-credentials", name="phone", bucket="inbox", write=True)
    client = boto3.client(
        "s3", endpoint_url=own["endpoint"], aws_access_key_id=own["access_key"], aws_secret_access_key=own["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip
    for key in keys:
        client.put_object(Bucket="inbox", Key=key, Body=b"x")


def given(store: Cloud, action: str) -> list[dict[str, Any]]:
    """The arguments with which an action of keeper's was called, as its handler saw them."""
    lines = store.cli("app", "logs", "keeper", "--lines", "500").stdout.splitlines()
    calls = [json.loads(line[line.index("{") :]) for line in lines if '"called":' in line]
    return [call["args"] for call in calls if call["called"] == action]


def minted(cloud: Cloud) -> set[str]:
    rows = cloud.graphql("{ queryCore_Capability { giver receiver action } }")["queryCore_Capability"]
    return {f"{row['giver']} to {row['receiver']}: {row['action']}" for row in rows}


def test_an_attack_by_an_objects_name_mints_nothing(store: Cloud) -> None:
    """Neither a capability of the store itself, nor a refusal that blocks the bucket."""
    before = minted(store)
    put(store, OWN_OF_THE_STORE, UNKNOWN, "holiday.jpg")
    wait_until(lambda: len(given(store, "told")) == 3, seconds=15, what="a notice of three objects")
    assert {args["key"] for args in given(store, "told")} == {OWN_OF_THE_STORE, UNKNOWN, "holiday.jpg"}
    assert minted(store) == before


def test_an_attack_by_a_field_in_a_template_mints_nothing(store: Cloud) -> None:
    before = minted(store)
    texts = ["action:keeper/secret", OF_ANOTHER]
    for text in texts:
        query = f'mutation {{ addNote(input: [{{text: "{text}"}}]) {{ count }} }}'
        assert graphql(store, query, app="keeper")[0] == 200
    wait_until(lambda: len(given(store, "greet")) >= 2, seconds=15, what="two runs of the trigger")
    assert {args["name"] for args in given(store, "greet")} == set(texts)
    assert minted(store) == before


@pytest.mark.parametrize("way", ["call", "send"])
@pytest.mark.parametrize("text", ["action:attacker/secret", OF_ANOTHER, UNKNOWN])
def test_an_attack_by_an_argument_that_reads_like_an_action_is_text(cloud: Cloud, way: str, text: str) -> None:
    before = minted(cloud)
    status, body = cloud.attack(ask, "POST", f"/{way}/other/greet", {"args": {"name": text}}, {})
    assert status == (200 if way == "call" else 202), body
    if way == "send":
        wait_until(lambda: body["id"] in done(cloud), what="the run of what was sent")
    else:
        assert body["result"]["args"] == {"name": text}
    assert minted(cloud) == before


def done(cloud: Cloud) -> set[str]:
    return {run["id"] for run in cloud.graphql('{ runs(app: "other", state: "DONE", first: 100) }')["runs"]}


def test_an_attack_by_the_owners_words_hands_out_nothing_of_the_owners(cloud: Cloud) -> None:
    assert cloud.call("other/greet", name=OF_ANOTHER)["args"] == {"name": OF_ANOTHER}
