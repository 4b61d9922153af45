"""Attacks with what an app or a device got from the object store: addresses and S3 keys that are kept after their right has ended."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.attacks.conftest import Cloud
from tests.attacks.test_calls import ask, code
from tests.node_process import wait_until
from tests.waiting import PATIENCE

ROLE = "role:object-storage"
CALLS = ("create-bucket", "issue-credentials", "get-object", "put-object", "export")
INTERNAL = ("callers-changed", "forget-caller")
BUCKET = "diary"


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> Iterator[Cloud]:
    """A node with the object store and `thief`, which may call everything of it that an app can ask for."""
    cloud.install("object-store")
    install(cloud, "thief", (*CALLS, *INTERNAL))
    yield cloud


@pytest.fixture
def kept(store: Cloud) -> Iterator[dict[str, Any]]:
    """What the app `keeper` keeps: a GET, a PUT and an export address, and an S3 key. All of them work."""
    if "paused" in store.cli("app", "list").stdout.lower():
        store.cli("app", "resume", "object-store")
    install(store, "keeper", CALLS)
    assert call(store, "keeper", "create-bucket", bucket=BUCKET)[0] == 200
    yield {"store": store, **handed(store)}
    store.cli("app", "remove", "keeper", "--forget", "--yes", check=False)


def install(cloud: Cloud, name: str, calls: tuple[str, ...]) -> None:
    uses = "\n".join(f"  - call: {ROLE}/{action}\n    optional: true" for action in calls)
    cloud.install_archive(cloud.installed(name, **{"  - call: other/greet": uses}))


def call(cloud: Cloud, app: str, action: str, **args: Any) -> Any:
    return cloud.attack(ask, "POST", f"/call/{ROLE}/{action}", {"args": args}, {}, app=app)


def handed(store: Cloud) -> dict[str, Any]:
    def result(action: str, **args: Any) -> Any:
        status, body = call(store, "keeper", action, bucket=BUCKET, **args)
        assert status == 200, body
        return body["result"]

    put = result("put-object", key="page")["url"]
    assert used("PUT", put) == 200
    get, key = result("get-object", key="page")["url"], result("issue-credentials", name="k", write=True)
    [exported] = [one["url"] for one in result("export")["objects"]]
    assert used("GET", get) == used("GET", exported) == tried(key) == 200
    return {"put-object": put, "get-object": get, "export": exported, "issue-credentials": key}


def used(method: str, url: str) -> int:
    """Return the status with which S3 answers; 0 if it does not listen. One that is too slow fails the test."""
    request = urllib.request.Request(url, method=method, data=b"dear diary" if method == "PUT" else None)
    try:
        return urllib.request.urlopen(request, timeout=PATIENCE).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        if isinstance(getattr(error, "reason", error), TimeoutError):
            raise
        return 0


def s3(key: dict[str, str]) -> Any:
    return boto3.client(
        "s3", endpoint_url=key["endpoint"], aws_access_key_id=key["access_key"], aws_secret_access_key=key["secret_key"],
        region_name="us-east-1", config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE
        ),
    )  # fmt: skip


def tried(key: dict[str, str]) -> int:
    try:
        answer = s3(key).put_object(Bucket=key["bucket"], Key="page", Body=b"dear diary")
        return answer["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    except (ConnectTimeoutError, ReadTimeoutError):
        raise
    except BotoCoreError:  # nothing listens, or it broke off
        return 0


def statuses(kept: dict[str, Any]) -> dict[str, int]:
    return {
        "put-object": used("PUT", kept["put-object"]), "get-object": used("GET", kept["get-object"]),
        "export": used("GET", kept["export"]), "issue-credentials": tried(kept["issue-credentials"]),
    }  # fmt: skip


def first_answer(ask: Callable[[], int]) -> int:
    """Requested without a pause from before the store is up."""
    return wait_until(ask, what="an answer of the object store")


def test_attack_with_a_kept_address_ends_with_its_grant(kept: dict[str, Any]) -> None:
    store, refused = kept["store"], set[str]()
    for action in ("put-object", "get-object", "export", "issue-credentials"):
        store.cli("app", "revoke", "keeper", f"{ROLE}/{action}")
        refused.add(action)
        assert statuses(kept) == {name: 403 if name in refused else 200 for name in statuses(kept)}
    for action in refused:
        store.cli("app", "grant", "keeper", f"{ROLE}/{action}")
    assert set(statuses(kept).values()) == {403}, "a right that is given again brings no old address back"
    handed(store)


def test_attack_with_what_a_removed_app_kept_is_refused(kept: dict[str, Any]) -> None:
    store = kept["store"]
    store.cli("app", "remove", "keeper", "--yes")
    assert set(statuses(kept).values()) == {403}
    install(store, "keeper", CALLS)
    assert set(statuses(kept).values()) == {403}
    assert [one["key"] for one in call(store, "keeper", "export", bucket=BUCKET)[1]["result"]["objects"]] == ["page"]


def test_attack_with_an_address_withdrawn_while_the_store_slept_is_refused(kept: dict[str, Any]) -> None:
    store = kept["store"]
    store.cli("app", "pause", "object-store")
    for verb in ("revoke", "grant"):  # given again before the store learns of it
        store.cli("app", verb, "keeper", f"{ROLE}/get-object")
    store.kill()
    store.start()
    store.cli("app", "resume", "object-store")
    assert first_answer(lambda: used("GET", kept["get-object"])) == 403
    assert statuses(kept) == {"put-object": 200, "get-object": 403, "export": 200, "issue-credentials": 200}


@pytest.mark.parametrize("killed", [False, True])
def test_attack_by_a_device_revoked_while_the_store_slept_is_refused(kept: dict[str, Any], killed: bool) -> None:
    store = kept["store"]
    key = store.call(f"{ROLE}/create-bucket", bucket="images") and store.json("device", "pair", "--json")
    assert tried(key["s3"]) == 200
    store.cli("app", "pause", "object-store")
    store.cli("device", "revoke", key["id"], check=False)
    if killed:
        store.kill()
        store.start()
    store.cli("app", "resume", "object-store")
    assert first_answer(lambda: tried(key["s3"])) == 403


def test_attack_deleting_with_the_key_of_an_uploading_device_is_refused(kept: dict[str, Any]) -> None:
    store = kept["store"]
    store.call(f"{ROLE}/create-bucket", bucket="images")
    key = store.json("device", "pair", "--scope", "upload", "--json")["s3"]
    assert tried(key) == 200
    with pytest.raises(ClientError, match="AccessDenied"):
        s3(key).delete_object(Bucket=key["bucket"], Key="page")
    s3(key).delete_objects(Bucket=key["bucket"], Delete={"Objects": [{"Key": "page"}]})
    assert s3(key).get_object(Bucket=key["bucket"], Key="page")["Body"].read() == b"dear diary"


def test_attack_asking_for_an_address_of_a_week_gets_an_hour(kept: dict[str, Any]) -> None:
    for action in ("get-object", "put-object"):
        status, body = call(kept["store"], "keeper", action, bucket=BUCKET, key="page", seconds=604_800)
        assert status == 200, body
        assert int(parse_qs(urlsplit(body["result"]["url"]).query)["X-Amz-Expires"][0]) <= 3600


@pytest.mark.parametrize("action", INTERNAL)
def test_attack_by_ending_the_access_of_others_is_forbidden(kept: dict[str, Any], action: str) -> None:
    args = {"caller": "app:keeper"} if action == "forget-caller" else {}
    for target in (f"{ROLE}/{action}", f"object-store/{action}"):
        for way in ("call", "send"):
            answer = kept["store"].attack(ask, "POST", f"/{way}/{target}", {"args": args}, {}, app="thief")
            assert code(answer) == (403, "FORBIDDEN")
    with pytest.raises(Exception, match="PCloud itself"):
        kept["store"].call(f"{ROLE}/{action}", **args)
    assert set(statuses(kept).values()) == {200}


def test_attack_by_asking_who_may_call_is_forbidden_to_others(store: Cloud) -> None:
    assert code(store.attack(ask, "POST", "/callers", {}, {}, app="thief")) == (403, "FORBIDDEN")


def test_attack_on_what_a_forgotten_app_stored_finds_nothing(kept: dict[str, Any]) -> None:
    store = kept["store"]
    store.cli("app", "remove", "keeper", "--forget", "--yes")
    assert set(statuses(kept).values()) <= {403, 404}
    install(store, "keeper", CALLS)
    assert call(store, "keeper", "create-bucket", bucket=BUCKET)[0] == 200
    assert call(store, "keeper", "export", bucket=BUCKET)[1]["result"]["objects"] == []
