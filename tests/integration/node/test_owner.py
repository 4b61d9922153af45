"""`pcloud owner …` on a running node, and core's page on an app's origin."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator

import pytest

from tests.browsing import Browsing, open_browsing
from tests.integration.node.front import FrontDoor
from tests.node_process import PCLOUD, NodeProcess

FIREFOX = {"User-Agent": "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"}


@pytest.fixture
async def browser(node: NodeProcess) -> AsyncIterator[Browsing]:
    async with open_browsing(node.address) as browser:
        _, path = node.link.split(browser.host())
        status, _, _ = await browser.ask("GET", browser.host(), path, FIREFOX)
        assert status == 303
        yield browser


async def status_of(browser: Browsing, token: str, path: str = "/graphql") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    method = "GET" if path == "/metrics" else "POST"
    return (await browser.ask(method, browser.host(), path, headers, json={"query": "{ revision }"}))[0]


async def test_the_machines_user_sees_and_ends_sessions(node: NodeProcess, browser: Browsing) -> None:
    [session] = node.json("owner", "sessions", "--json")
    assert (session["browser"], session["device"], session["current"]) == ("Firefox", "Android phone", False)
    shown = node.cli("owner", "sessions").stdout
    assert "Firefox" in shown and "Android phone" in shown and session["id"] in shown
    assert node.cli("owner", "end", check=False).returncode == 2
    assert node.cli("owner", "end", "made-up", check=False).returncode == 3
    node.cli("owner", "end", session["id"])
    assert await browser.status() == 401 and node.json("owner", "sessions", "--json") == []


async def test_the_credential_is_changed_by_who_has_it(node: NodeProcess, browser: Browsing) -> None:
    def change(present: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(node.data)}
        words = [str(PCLOUD), "owner", "credential"]
        return subprocess.run(words, input=present, env=environment, capture_output=True, text=True, check=False)

    for wrong, code in (("owner_wrong\n", 5), ("", 2)):
        refused = await asyncio.to_thread(change, wrong)
        assert refused.returncode == code and not refused.stdout and await browser.status() == 200
    done = await asyncio.to_thread(change, f"{node.token}\n")
    assert done.returncode == 0 and await browser.status() == 401
    assert await status_of(browser, node.token) == 401 and await status_of(browser, done.stdout.strip()) == 200


async def test_a_reset_keeps_devices_unless_they_are_to_go(node: NodeProcess, browser: Browsing) -> None:
    watcher = node.json("device", "pair", "--metrics", "--json")["token"]
    first = node.json("owner", "reset", "--json")
    assert (first["devices"], first["revoked"], first["kept"]) == (1, 0, {})
    assert await browser.status() == 401 and await status_of(browser, watcher, "/metrics") == 200
    said = node.cli("owner", "reset", "--revoke-devices")
    assert await status_of(browser, watcher, "/metrics") == 401
    assert await status_of(browser, first["credential"]) == 401 and await status_of(browser, said.stdout.strip()) == 200
    assert "1 of 1 devices revoked" in said.stderr


async def test_core_has_a_page_on_each_apps_origin(front: FrontDoor) -> None:
    async with front.request("/_pcloud/", app="photos") as answer:
        text = await answer.text()
        assert answer.status == 200 and "Photos &amp; &lt;more&gt;" in text and "signed in as the owner" in text
        assert 'action="/_pcloud/signout"' in text and f'href="http://{front.host("console")}/sessions"' in text
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    async with front.request("/_pcloud/", app="missing") as answer:
        assert answer.status == 404
    async with front.request("/_pcloud/", app="photos", signed_in=False, headers={"Accept": "text/html"}) as answer:
        assert answer.status == 303


async def test_the_front_page_has_a_way_out(front: FrontDoor) -> None:
    async with front.request("/") as answer:
        assert '<form method="post" action="/_pcloud/signout">' in await answer.text()
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
