"""One Chromium for each file of attacks that a browser carries out, and the front that they attack.

A file's tests share one event loop, as a browser belongs to the loop that started it. Each test has a browser context of its own:
cookies, storage and windows of one test do not reach another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser import CHROMIUM, QUIET
from tests.integration.node.front import FrontDoor, open_front

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def front() -> AsyncIterator[FrontDoor]:
    async with open_front() as door:
        yield door
