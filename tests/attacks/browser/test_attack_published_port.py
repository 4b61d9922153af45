"""Attacks on the owner's session from a port that an app publishes: browsers send a host's cookies to every port of that host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Error

from tests.attacks.conftest import Cloud
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")
PORTS = "attacker]\n  web: true\n  ports: [trap]"


def listen() -> dict[str, str]:
    """Accept every request to the published port and record its headers, for as long as the app runs."""
    import http.server
    import os

    from attacker.behind import stays_behind

    where = {"host": os.environ.get("HOST_TRAP", "127.0.0.1"), "port": os.environ["PORT_TRAP"]}
    open("/data/heard", "w").close()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(where["port"])), None)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with open("/data/heard", "a") as file:
                file.write(f"{self.headers['Host']} {self.headers.get('Cookie', '-')}\n")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"trapped")

    server.RequestHandlerClass = Handler
    if stays_behind():
        server.serve_forever()
    return where


def heard() -> list[str]:
    with open("/data/heard") as file:
        return file.read().splitlines()


@pytest.fixture(scope="module")
def trap(cloud: Cloud) -> Iterator[dict[str, str]]:
    """The address where the app `guest` publishes a port, by its own account."""
    cloud.install_archive(cloud.installed("guest", **{"attacker]": PORTS}))
    yield cloud.attack(listen, app="guest")
    cloud.cli("app", "remove", "guest", "--yes")


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(cloud: Cloud, browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that is signed in at core and at the app's pages."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(cloud.cli("signin-link").stdout.strip())
    await page.goto(guest_page(cloud))
    assert len({cookie["domain"] for cookie in await context.cookies()}) == 2
    yield context
    await context.close()


def guest_page(cloud: Cloud) -> str:
    return f"http://guest.localhost:{urlsplit(cloud.address).port}/"


async def test_attack_published_port_collects_no_session_of_a_browser(
    cloud: Cloud, trap: dict[str, str], visitor: BrowserContext
) -> None:
    """An app's page sends the browser to the port, by every name that has a cookie of core's, and by the port's own address."""
    names = {"localhost", "127.0.0.1", "guest.localhost", "console.localhost", "[::1]", trap["host"]}
    for name in sorted(names):
        page = await visitor.new_page()
        await page.goto(guest_page(cloud))
        await lead(page, f"http://{name}:{trap['port']}/")
        await page.close()
    told = wait_until(lambda: cloud.attack(heard, app="guest"), what="a request at the port")
    assert [line for line in told if not line.endswith(" -")] == [], "a cookie came along"
    assert any(line.startswith(f"{trap['host']}:") for line in told), "the port itself is reached"


async def lead(page: Any, address: str) -> None:
    """The page's own script navigates to another address, and arrives there or fails."""
    left = asyncio.Event()
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda request: left.set() if request.url == address else None)
    await page.evaluate("address => { setTimeout(() => { location.href = address }) }", address)
    async with asyncio.timeout(10):
        await left.wait()


async def test_attack_published_port_is_at_no_host_that_core_answers(
    cloud: Cloud, trap: dict[str, str], visitor: BrowserContext
) -> None:
    """A cookie that the app's port sets at its own address never returns to core as a session."""
    page = await visitor.new_page()
    await page.goto(f"http://{trap['host']}:{trap['port']}/")
    assert trap["host"] not in ("localhost", "127.0.0.1", "::1")
    with pytest.raises(Error):
        await page.goto(f"http://{trap['host']}:{urlsplit(cloud.address).port}/", timeout=5000)


@pytest_asyncio.fixture(loop_scope="module")
async def stranger() -> AsyncIterator[tuple[int, list[str]]]:
    """Another program on this machine that listens at localhost: its port, and the cookies that arrived."""
    cookies: list[str] = []

    async def hear(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie", ""))
        return web.Response(text="heard")

    runner = web.ServerRunner(web.Server(hear))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1], cookies
    await runner.cleanup()


@pytest.mark.parametrize("private", [True, False])
async def test_attack_another_programs_port_hears_no_session_of_the_private_address(
    cloud: Cloud, browser: Browser, trap: dict[str, str], stranger: tuple[int, list[str]], private: bool
) -> None:
    """At localhost it does, which is why there is a private address."""
    port, cookies = stranger
    page = await browser.new_page()  # in a context of its own, without cookies
    link = cloud.cli("signin-link", *(["--private"] if private else [])).stdout.strip()
    await page.goto(link)
    domain = urlsplit(link).hostname
    await page.goto(f"http://guest.{domain}:{urlsplit(link).port}/")
    names = ("localhost", "guest.localhost", "console.localhost", "127.0.0.1")
    for name in names:
        await lead(page, f"http://{name}:{port}/")
    await page.close()
    assert any(cookies) is not private and len(cookies) >= len(names)
