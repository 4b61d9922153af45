"""Attacks on the object store: SeaweedFS's inner ports, and other apps' buckets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from core.apps.sandbox.cell import BUS_PORT, GATEWAY_PORT
from tests.attacks.conftest import Cloud
from tests.attacks.test_calls import ask, code

pytestmark = pytest.mark.usefixtures("others_are_served")
CALLS = (
    "create-bucket",
    "issue-credentials",
    "get-object",
    "put-object",
    "list-objects",
    "delete-object",
    "usage",
    "export",
)


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> Iterator[Cloud]:
    """A node with the object store, and two more apps that may call it: `keeper` has a bucket, `thief` wants its content."""
    cloud.install("object-store")
    uses = "\n".join(f"  - call: role:object-storage/{name}" for name in CALLS)
    for name in ("keeper", "thief"):
        cloud.install_archive(cloud.installed(name, **{"  - call: other/greet": uses}))
    assert call(cloud, "keeper", "create-bucket", bucket="diary")[0] == 200
    yield cloud


def call(store: Cloud, app: str, action: str, **args: Any) -> Any:
    return store.attack(ask, "POST", f"/call/role:object-storage/{action}", {"args": args}, {}, app=app)


def weed(store: Cloud) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in store.children() if "weed" in psutil.Process(pid).name()]


def test_an_attack_on_the_store_by_an_app_without_a_grant_is_forbidden(store: Cloud) -> None:
    for action in CALLS:
        assert code(call(store, "attacker", action, bucket="diary", key="x")) == (403, "FORBIDDEN")


def test_an_attack_on_weeds_inner_ports_reaches_none(store: Cloud) -> None:
    """They listen in the store's own network, where other apps are not."""
    from tests.attacks.test_sandbox import connect

    inner = {port for process in weed(store) for port in listening_inside(process)} - {BUS_PORT, GATEWAY_PORT}
    assert len(inner) > 3
    endpoint = call(store, "keeper", "issue-credentials", name="k", bucket="diary", write=True)[1]["result"]["endpoint"]
    s3 = urlsplit(endpoint)
    assert s3.port in inner and s3.hostname not in (None, "127.0.0.1")
    places = [(address, port) for port in inner for address in ("127.0.0.1", s3.hostname)]
    for app in ("thief", "attacker", "other"):
        said = store.attack(connect, places, app=app)
        reached = {target for target, what in said.items() if what == "connected"}
        assert reached == ({s3.netloc} if app == "thief" else set()), said
    for place in places:
        with socket.socket() as one:
            assert (one.connect_ex(place) == 0) == (place == (s3.hostname, s3.port)), place


def listening_inside(process: psutil.Process) -> set[int]:
    """The ports on which servers listen in a process's network namespace."""
    found = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{process.pid}/net/{name}") as table:
            for line in list(table)[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    found.add(int(local.rpartition(":")[2], 16))
    return found


def test_an_attack_on_another_apps_bucket_is_forbidden(store: Cloud) -> None:
    for action, args in {
        "create-bucket": {"bucket": "diary"},
        "issue-credentials": {"name": "mine", "bucket": "diary"},
        "put-object": {"bucket": "diary", "key": "x"},
        "delete-object": {"bucket": "diary", "key": "x"},
        "usage": {"bucket": "diary"},
        "export": {"bucket": "diary"},
    }.items():
        status, error = code(call(store, "thief", action, **args))
        assert error in ("FORBIDDEN", "CONFLICT", "NOT_FOUND", "REJECTED"), (action, status, error)


@pytest.mark.parametrize(
    "key", ["../x", "a/../../diary/x", "/", "", "x" * 2000, "a\0b", "..", "a//b", "%2e%2e/diary/x"]
)
def test_an_attack_by_a_key_that_leads_elsewhere_stays_in_its_bucket(store: Cloud, key: str) -> None:
    call(store, "thief", "create-bucket", bucket="lair")
    status, body = call(store, "thief", "put-object", bucket="lair", key=key)
    if status == 200:
        path = urlsplit(body["result"]["url"]).path
        assert path.startswith("/lair/") and ".." not in path.split("/")


async def test_an_attack_on_s3_without_keys_or_with_another_apps_is_denied(store: Cloud) -> None:
    """Without keys, listing, reading, writing and making users are refused; a key opens only its own bucket."""
    await asyncio.to_thread(call, store, "thief", "create-bucket", bucket="lair")
    own = (await asyncio.to_thread(call, store, "thief", "issue-credentials", name="t", bucket="lair", write=True))[1][
        "result"
    ]
    async with aiohttp.ClientSession() as session:
        for method, path in (
            ("GET", "/"), ("GET", "/diary"), ("GET", "/diary/x"), ("PUT", "/diary/x"), ("PUT", "/new-bucket"), ("DELETE", "/diary"),
            ("GET", "/diary?policy"), ("PUT", "/diary?policy"), ("POST", "/?Action=CreateUser&UserName=x&Version=2010-05-08"),
            ("POST", "/?Action=AssumeRole"), ("GET", "/../diary/x"), ("GET", "/lair/..%2fdiary/x"), ("GET", "/buckets/diary/"),
        ):  # fmt: skip
            async with session.request(method, own["endpoint"] + path) as answer:
                assert answer.status >= 400, (method, path)
    with_keys = await asyncio.to_thread(attack_with, own)
    assert set(with_keys.values()) == {"denied"}, with_keys


def attack_with(own: dict[str, str]) -> dict[str, str]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3", endpoint_url=own["endpoint"], aws_access_key_id=own["access_key"], aws_secret_access_key=own["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip
    attacks = {
        "list": lambda: client.list_objects_v2(Bucket="diary"),
        "read": lambda: client.get_object(Bucket="diary", Key="x"),
        "write": lambda: client.put_object(Bucket="diary", Key="x", Body=b"x"),
        "copy": lambda: client.copy_object(Bucket="lair", Key="y", CopySource={"Bucket": "diary", "Key": "x"}),
        "delete": lambda: client.delete_object(Bucket="diary", Key="x"),
        "delete bucket": lambda: client.delete_bucket(Bucket="diary"),
        "make bucket": lambda: client.create_bucket(Bucket="fresh-one"),
        "policy": lambda: client.put_bucket_policy(Bucket="diary", Policy='{"Version":"2012-10-17","Statement":[]}'),
        "own policy": lambda: client.put_bucket_policy(Bucket="lair", Policy='{"Version":"2012-10-17","Statement":[]}'),
        "open to all": lambda: client.put_bucket_acl(Bucket="diary", ACL="public-read-write"),
    }
    said = {}
    for name, attack in attacks.items():
        try:
            attack()
            said[name] = "done"
        except ClientError as error:
            said[name] = "denied" if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404) else str(error)
    return said
