"""Attacks by the key of an object: no key keeps the other objects of its bucket from being imported."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.attacks.conftest import Cloud
from tests.node_process import wait_until

LONG = "/".join(["long" * 50] * 5) + "/" + "x" * 5
KEYS = [
    "action:object-store/get-object", "action:photos/x", "bell\x07.jpg", "\x7f", "tab\t/return\r.jpg", LONG,
    "capability:" + "A" * 43, "{{ event.id }}.jpg", '"><script>', "日本/ü.jpg", "ordinary.jpg",
]  # fmt: skip


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> Iterator[Cloud]:
    cloud.install("object-store", "image-importer")
    yield cloud


def bucket(store: Cloud) -> Any:
    import boto3
    from botocore.config import Config

    own = store.call("role:object-storage/issue-credentials", name="phone", bucket="images", write=True)
    return boto3.client(
        "s3", endpoint_url=own["endpoint"], aws_access_key_id=own["access_key"], aws_secret_access_key=own["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip


def picture(number: int) -> bytes:
    """A picture whose bytes are unique."""
    file = io.BytesIO()
    Image.effect_noise((64, 48), 20 + number).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def places(store: Cloud) -> set[str]:
    images = store.graphql("{ queryImageImporter_Image(first: 100) { places } }")["queryImageImporter_Image"]
    return {place.removeprefix("images/") for image in images for place in image["places"]}


def test_an_attack_by_an_unusual_key_imports_it_like_any_other(store: Cloud) -> None:
    assert len(LONG) == 1010
    s3 = bucket(store)
    for number, key in enumerate([*KEYS, "slash/"]):
        s3.put_object(Bucket="images", Key=key, Body=picture(number), ContentType="image/jpeg")
    # weed makes the object folder/folder of a body under a trailing slash.
    wanted = {*KEYS, "slash/slash"}
    wait_until(lambda: places(store) >= wanted, seconds=60, what="the import of every key")
    assert places(store) == wanted
    listed = store.call("role:object-storage/list-objects", bucket="images")["objects"]
    assert {o["key"] for o in listed} == wanted


@pytest.mark.parametrize("key", ["x" * 1010, "line\nbreak", "a/../b", "..", "nul\0", "x/" * 512 + "x"])
def test_an_attack_by_a_key_that_can_not_be_kept_is_refused_with_the_reason(store: Cloud, key: str) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match=r"key is too long|Invalid Request|Access Denied"):
        bucket(store).put_object(Bucket="images", Key=key, Body=b"x")
