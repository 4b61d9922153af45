"""An app's requests to PCloud while it answers a visitor are made for that visitor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from pcloud.app import App
from pcloud.web import USER_HEADER, User, sign_user

KEY = b"k" * 32


def visitor(name: str) -> str:
    return sign_user(KEY, User(name, "puppy-counter", 2e9, name))


@pytest.fixture
def site(variables: dict[str, str], tmp_path: Path, unused_port: int) -> App:
    """With pages that query the graph: for the visitor, for the app itself, in a task of its own, and from within a second visit."""
    (tmp_path / "web.key").write_bytes(KEY)
    app = App({**variables, "PORT": str(unused_port), "PCLOUD_WEB_KEY_FILE": str(tmp_path / "web.key")})

    async def asked(request: web.Request) -> web.Response:
        await app.graph.query("{ a }")
        await app.call("other/look")
        return web.Response()

    async def alone(request: web.Request) -> web.Response:
        with app.own_work():
            task = asyncio.create_task(app.graph.query("{ b }"))
        await task
        await asyncio.create_task(app.graph.query("{ c }"))
        return web.Response()

    @app.unsigned
    async def anyone(request: web.Request) -> web.Response:
        await app.graph.query("{ d }")
        return web.Response()

    app.web.router.add_get("/asked", asked)
    app.web.router.add_get("/alone", alone)
    app.web.router.add_get("/anyone", anyone)
    return app


def visitors(gateway: Any) -> list[str]:
    return [headers.get(USER_HEADER, "") for _, headers, _ in gateway.asked]


async def test_each_request_is_made_for_the_visitor_whose_request_is_answered(
    site: App, gateway: Any, serving: Any, unused_port: int
) -> None:
    names = ["person:owner", "device:phone", "person:owner"]
    for _ in names * 2:
        gateway.answer({"data": {}, "result": None})
    async with serving(site), ClientSession(f"http://127.0.0.1:{unused_port}") as browser:
        for name in names:  # over one connection
            assert (await browser.get("/asked", headers={USER_HEADER: visitor(name)})).status == 200
    assert visitors(gateway) == [visitor(name) for name in names for _ in range(2)]


async def test_own_work_is_asked_for_by_the_app_alone(site: App, gateway: Any, serving: Any, unused_port: int) -> None:
    for _ in range(2):
        gateway.answer({"data": {}})
    async with serving(site), ClientSession(f"http://127.0.0.1:{unused_port}") as browser:
        assert (await browser.get("/alone", headers={USER_HEADER: visitor("person:owner")})).status == 200
    assert visitors(gateway) == ["", visitor("person:owner")]


async def test_a_page_for_everybody_speaks_for_a_visitor_only_where_one_is_named(
    site: App, gateway: Any, serving: Any, unused_port: int
) -> None:
    for _ in range(3):
        gateway.answer({"data": {}})
    async with serving(site), ClientSession(f"http://127.0.0.1:{unused_port}") as browser:
        for header in (visitor("person:owner"), "", "forged"):
            assert (await browser.get("/anyone", headers={USER_HEADER: header})).status == 200
    assert visitors(gateway) == [visitor("person:owner"), "", ""]
