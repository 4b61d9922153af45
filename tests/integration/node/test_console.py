"""Access to the console, what it serves, and which parts of the administration it offers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.node.front import FrontDoor


def own_page(front: FrontDoor) -> dict[str, str]:
    """The headers that a browser sends with a request of the console's own page."""
    return {"Origin": f"http://{front.host('console')}", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("path", ["/", "/apps/photos", "/assets/index-1a2b.js", "/api/apps", "/api/graphql"])
async def test_nothing_is_shown_without_a_session(front: FrontDoor, path: str) -> None:
    async with front.request(path, app="console", signed_in=False, headers=own_page(front)) as answer:
        assert answer.status == 401
        assert (await answer.json())["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_browser_without_a_session_signs_in_and_comes_back_to_the_same_page(front: FrontDoor) -> None:
    html = {"Accept": "text/html"}
    async with front.request("/runs?state=FAILED", app="console", signed_in=False, headers=html) as answer:
        assert answer.status == 303
        path = answer.headers["Location"].removeprefix(f"http://{front.host()}")
        way = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    async with front.request(path, headers=html) as answer:
        onward = answer.headers["Location"].removeprefix(f"http://{front.host('console')}")
    async with front.request(onward, app="console", signed_in=False, headers=html | way) as answer:
        assert answer.headers["Location"] == "/runs?state=FAILED"
        assert f"{front.statements.cookie}=" in answer.headers["Set-Cookie"]


async def test_the_console_refuses_a_session_of_another_origin(front: FrontDoor) -> None:
    for app in ("", "photos"):
        cookie = {"Cookie": front.cookie(app)}
        async with front.request("/api/apps", app="console", signed_in=False, headers=cookie) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("path", ["/", "/index.html", "/apps/photos", "/../../secret", "/.built-from"])
async def test_any_page_is_the_console_under_a_policy_that_runs_its_own_scripts_alone(
    front: FrontDoor, path: str
) -> None:
    async with front.request(path, app="console") as answer:
        assert answer.status == 200 and "<title>Console" in await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_a_built_file_is_kept_and_one_that_is_gone_is_missed(front: FrontDoor) -> None:
    async with front.request("/assets/index-1a2b.js", app="console") as answer:
        assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"]
    async with front.request("/assets/index-0000.js", app="console") as answer:
        assert answer.status == 404


async def test_built_text_is_sent_compressed_to_browsers_that_read_it(front: FrontDoor) -> None:
    for app, path in (
        ("console", "/assets/index-1a2b.js"),
        ("photos", '/said?text=x&headers={"Content-Encoding":"gzip"}'),
    ):
        async with front.request(path, app=app, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
    async with front.request("/assets/index-1a2b.js", app="console", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers and await answer.text() == "export {}"


async def test_the_administration_is_offered_below_api(front: FrontDoor) -> None:
    request: Any = {"app": "console", "headers": own_page(front)}
    async with front.request("/api/apps/photos/logs?lines=5", **request) as answer:
        assert (await answer.json())["admin"] == "/apps/photos/logs?lines=5"
        assert answer.headers["Cache-Control"] == "no-store"
    async with front.request("/api/apps/review", method="POST", data=b"x" * 3_000_000, **request) as answer:
        assert await answer.json() == {"admin": "/apps/review", "bytes": 3_000_000}


async def test_the_graph_is_the_owners_whole_one(front: FrontDoor) -> None:
    request: Any = {"app": "console", "headers": own_page(front)}
    async with front.request("/api/graphql", method="POST", json={"query": "{ revision }"}, **request) as answer:
        assert await answer.json() == {"kind": "person", "name": "owner", "through": ""}
    async with front.request("/api/graphql", **request) as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["/nats", "/signin-link", "/%6eats", "//nats", "/", "/graphql/photos"])
async def test_what_hands_out_credentials_is_not_offered(front: FrontDoor, path: str) -> None:
    async with front.request(f"/api{path}", app="console", method="POST", headers=own_page(front)) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/graph/all"), ("POST", "/graph/verify"), ("POST", "/graph/rebuild")]
)
async def test_work_on_the_whole_graph_is_not_offered(front: FrontDoor, method: str, path: str) -> None:
    """It reads the whole log: these are for the machine's own user."""
    async with front.request(f"/api{path}", app="console", method=method, headers=own_page(front)) as answer:
        assert answer.status == 404


async def test_nothing_is_installed_without_a_sandbox_from_a_browser(front: FrontDoor) -> None:
    path = "/api/apps?approve=all&unconfined=true"
    async with front.request(path, app="console", method="POST", headers=own_page(front)) as answer:
        assert answer.status == 400 and "pcloud app install" in await answer.text()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://photos.localhost"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_request_of_another_origins_page_is_refused(
    front: FrontDoor, method: str, headers: dict[str, str]
) -> None:
    async with front.request("/api/apps/photos", app="console", method=method, headers=headers) as answer:
        assert answer.status == 403


async def test_a_write_that_does_not_say_where_it_comes_from_is_refused(front: FrontDoor) -> None:
    async with front.request("/api/apps/photos", app="console", method="DELETE") as answer:
        assert answer.status == 403
    async with front.request("/api/apps/photos", app="console") as answer:
        assert answer.status == 200


async def test_a_websocket_of_another_origins_page_is_refused(front: FrontDoor) -> None:
    for headers in ({}, {"Origin": f"http://{front.host('photos')}"}):
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", **headers}
        async with front.request("/api/graphql", app="console", headers=upgrade) as answer:
            assert answer.status == 403


async def test_the_front_page_leads_to_the_console(front: FrontDoor) -> None:
    async with front.request("/", headers={"Accept": "text/html"}) as answer:
        assert f'href="http://{front.host("console")}/"' in await answer.text()
