"""For each file of these tests one node with all five apps and the demo's photographs, and a real browser signed in to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import CHROMIUM, QUIET
from tests.installed import Home, copy_source
from tests.node_process import BUNDLED, NodeProcess, wait_until
from tests.waiting import PATIENCE

expect.set_options(timeout=PATIENCE * 1000)  # a browser's page is as late as all else on a busy machine


def s3_client(s3: dict[str, str]) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3["endpoint"], aws_access_key_id=s3["access_key"], aws_secret_access_key=s3["secret_key"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[NodeProcess]:
    """Everything installed, every photograph and one broken file uploaded and processed."""
    with NodeProcess(tmp_path_factory.mktemp("house") / "node") as node:
        node.install(*BUNDLED)
        node.device = node.json("device", "pair", "--name", "phone", "--json")
        client = s3_client(node.device["s3"])
        for path in sorted(photos.glob("*.*g")):
            client.upload_file(str(path), node.device["s3"]["bucket"], path.name)
        client.put_object(
            Bucket=node.device["s3"]["bucket"], Key="broken.jpg", Body=b"\xff\xd8\xff\xe0 this is not a picture"
        )
        expected = len(list(photos.glob("*.*g")))
        wait_until(lambda: settled(node, expected), what="every photograph's processing")
        yield node


def recorded_notices(node: NodeProcess) -> int:
    """Their number: the failed run raises one a moment later, which is an event."""
    return node.graphql("{ aggregateCore_Notice { count } }")["aggregateCore_Notice"]["count"]


def settled(node: NodeProcess, images: int) -> bool:
    """Return True if all images exist, each with its run of both triggers, and nothing is in progress."""
    status = node.status()
    runs, views = status["runs"], status["views"]
    done = runs.get("DONE", 0) >= 3 * images and runs.get("FAILED", 0) >= 1 and recorded_notices(node) >= 1
    return (
        done
        and not runs.get("NEW")
        and not runs.get("IN_PROGRESS")
        and all(view["lag"] == 0 for view in views.values())
    )


@pytest.fixture(scope="module")  # it holds this thread's event loop, which later modules may need
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def gallery(house: NodeProcess, browser: Browser) -> Iterator[Page]:
    """The gallery in a browser that has just signed in by a link."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(house.cli("signin-link").stdout.strip())
    port = house.address.rpartition(":")[2]
    page.goto(f"http://photos.localhost:{port}/")
    yield page
    context.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which PCloud is installed as the page says, from a copy of this clone."""
    folder = tmp_path_factory.mktemp("machine")
    made = Home(folder / "home", copy_source(folder / "clone"))
    made.follow("Install PCloud")
    return made
