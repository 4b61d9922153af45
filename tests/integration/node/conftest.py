"""The front alone, and one node with the object store and the image importer for the tests that need a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.integration.node.front import FrontDoor, open_front
from tests.node_process import NodeProcess, wait_until

COUNT = "{ aggregateImageImporter_Image { count } }"
NOTICES = "{ aggregateCore_Notice { count } }"


@pytest.fixture
async def front() -> AsyncIterator[FrontDoor]:
    async with open_front() as door:
        yield door


def s3_client(s3: dict[str, str]) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3["endpoint"], aws_access_key_id=s3["access_key"], aws_secret_access_key=s3["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[NodeProcess]:
    """A node with the object store, the image importer, a paired laptop, two pictures and a broken file."""
    with NodeProcess(tmp_path_factory.mktemp("cloud") / "node") as node:
        node.install("object-store", "image-importer")
        node.device = node.json("device", "pair", "--name", "laptop", "--json")  # type: ignore[attr-defined]
        s3 = node.device["s3"]  # type: ignore[attr-defined]
        client = s3_client(s3)
        for name in ("cat.jpg", "coffee.jpg"):
            client.upload_file(str(photos / name), s3["bucket"], name)
        client.put_object(Bucket=s3["bucket"], Key="broken.jpg", Body=b"\xff\xd8\xff\xe0 not a real picture")
        wait_until(lambda: node.graphql(COUNT)["aggregateImageImporter_Image"]["count"] == 2, what="two images")
        wait_until(lambda: node.status()["runs"]["FAILED"] == 1, what="the broken file's failed run")
        wait_until(lambda: node.graphql(NOTICES)["aggregateCore_Notice"]["count"] == 1, what="the notice of it")
        yield node
