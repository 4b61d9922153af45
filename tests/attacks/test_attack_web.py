"""Attacks over HTTP on the front: requests, cookies, headers and paths as a hostile page or program sends them, down to raw bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from core.front.ingress.headers import BOUNDARY, passing_headers, returning_headers
from core.people.owner.statement import Statements, cookies_named
from pcloud.errors import Forbidden
from pcloud.web import User, sign_user, verify_user
from tests.integration.node.front import APP_KEY, TOKEN, FrontDoor
from tests.node_process import NodeProcess, wait_until

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
SAME_SITE = {**CROSS_SITE, "Sec-Fetch-Site": "same-site"}


async def raw(front: FrontDoor, request: bytes) -> bytes:
    """Return the front's answer to these exact bytes, until it closes or has been silent for a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    try:
        writer.write(request)
        answer = b""
        try:
            async with asyncio.timeout(3):
                while piece := await reader.read(65536):
                    answer += piece
        except TimeoutError:
            pass
        return answer
    finally:
        writer.close()


# --- cookies -----------------------------------------------------------------------------------------------------------------------

NAMES = ["pcloud_0a1b2c3d", "PCLOUD_0a1b2c3d", "__Host-pcloud_0a1b2c3d", "__host-PCLOUD_x", "__Secure-pcloud_x"]


@given(
    st.lists(st.sampled_from([*(f"{name}=SECRET" for name in NAMES), "a=b", 'q="', 'r="', "flag", "=pcloud_x=SECRET"])),
    st.sampled_from([";", "; ", " ;\t", ';"', '";']),
)
def test_attack_no_arrangement_of_cookies_carries_cores_to_an_app(parts: list[str], between: str) -> None:
    passed = passing_headers(CIMultiDict({"Cookie": between.join(parts)})).getall("Cookie", [])
    assert "SECRET" not in str(passed)


@pytest.mark.parametrize("header", ["Cookie", "cookie", "COOKIE"])
def test_attack_a_second_cookie_header_is_cut_down_too(header: str) -> None:
    headers = CIMultiDict([("Cookie", "a=b"), (header, f"{NAMES[0]}=SECRET; c=d")])
    assert passing_headers(headers).getall("Cookie") == ["a=b", "c=d"]


def test_attack_below_a_domain_of_ones_own_no_sibling_apps_cookie_reaches_an_app() -> None:
    """There a page of one app may set cookies for all hosts; only names with __Host- can't be set so."""
    headers = CIMultiDict({"Cookie": "tossed=1; __Host-mine=2; __Host-pcloud_x=3"})
    assert passing_headers(headers, shared_site=True).getall("Cookie") == ["__Host-mine=2"]


@pytest.mark.parametrize(
    "cookie",
    [
        "a=b; Domain=localhost", "a=b;domain =localhost", "a=b; DOMAIN\t=\t.localhost", "a=b; Domain", "a=b; Path=/; Domain=",
        *(f"{name}=x" for name in NAMES), " pcloud_x =x", "=pcloud_x=y", "pcloud_x", "",
    ],
)  # fmt: skip
def test_attack_an_app_sets_no_cookie_for_others_and_none_in_cores_name(cookie: str) -> None:
    assert "Set-Cookie" not in returning_headers(CIMultiDict({"Set-Cookie": cookie}))


def test_attack_a_value_that_only_speaks_of_a_domain_is_the_apps_own() -> None:
    assert returning_headers(CIMultiDict({"Set-Cookie": "to=domain=x; Path=/"}))["Set-Cookie"] == "to=domain=x; Path=/"


@pytest.mark.parametrize("where", ["before", "after", "header before", "header after"])
async def test_attack_a_tossed_cookie_of_cores_name_changes_no_session(front: FrontDoor, where: str) -> None:
    """A page may set a cookie of the session's name for a path of its own: it must not hide the real one."""
    name = front.statements.cookie
    real, tossed = front.cookie(), f"{name}=tossed"
    headers: Any = {
        "before": [("Cookie", f"{tossed}; {real}")], "after": [("Cookie", f"{real}; {tossed}")],
        "header before": [("Cookie", tossed), ("Cookie", real)], "header after": [("Cookie", real), ("Cookie", tossed)],
    }[where]  # fmt: skip
    url = f"http://127.0.0.1:{front.port}/graphql"
    async with front.client.get(url, headers=[("Host", front.host()), *headers]) as answer:
        assert (await answer.json())["kind"] == "person"
    async with front.request("/graphql", signed_in=False, headers={"Cookie": tossed}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("app", ["photos", "asleep", "", "console"])
async def test_attack_a_session_is_for_its_host_alone(front: FrontDoor, app: str) -> None:
    """So that a session fixed by, or stolen at, one app's origin is useless elsewhere."""
    stolen = {"Cookie": front.cookie("random-puppy")}
    async with front.request("/", app=app, signed_in=False, headers=stolen) as answer:
        assert answer.status == 401


async def test_attack_a_session_given_before_signing_in_is_not_the_one_after(front: FrontDoor) -> None:
    """Session fixation: signing in always makes a new session, and accepts none from the request."""
    planted = f"{front.statements.cookie}=planted"
    async with front.request(front.link(), signed_in=False, headers={"Cookie": planted}) as answer:
        given = answer.headers["Set-Cookie"]
    assert "planted" not in given and "HttpOnly" in given and "Path=/" in given and "Domain" not in given
    async with front.request("/graphql", signed_in=False, headers={"Cookie": planted}) as answer:
        assert answer.status == 401


def test_attack_over_https_only_a_name_that_no_sibling_can_set_is_a_session() -> None:
    statements = Statements(b"k" * 32, "epoch")
    for name in (statements.session_cookie(secure=True), statements.way_cookie(secure=True)):
        assert list(cookies_named([f"__Host-{name.removeprefix('__Host-')}=x"], name)) == ["x"]
        assert not list(cookies_named([f"{name.removeprefix('__Host-')}=x"], name))


# --- who asks ----------------------------------------------------------------------------------------------------------------------

USER = [
    "Pcloud-User",
    "pcloud-user",
    "PCLOUD_USER",
    "Pcloud.User",
    "pcloud~user",
    "Pcloud'User",
    "_Pcloud-User",
    "X-Pcloud-User",
]


@pytest.mark.parametrize("name", [*USER, "Forwarded", "X-Real-IP", "X-Original-URL", "X-HTTP-Method-Override"])
def test_attack_no_spelling_of_cores_headers_passes_from_a_client(name: str) -> None:
    assert not passing_headers(CIMultiDict({name: "forged"}))


async def test_attack_a_client_can_name_neither_the_user_nor_take_the_header_away(front: FrontDoor) -> None:
    headers = dict.fromkeys(USER, "forged") | {"Connection": "close, Pcloud-User, Cookie, X-Thing", "X-Thing": "1"}
    async with front.request("/x", app="photos", headers=headers) as answer:
        seen = (await answer.json())["headers"]
    assert "forged" not in str(seen) and not [value for name, value in seen if name == "x-thing"]
    (user,) = [value for name, value in seen if name == "pcloud-user"]
    assert verify_user(APP_KEY, user, "photos").actor == "person:owner"


async def test_attack_the_users_header_is_for_one_app_and_a_minute(front: FrontDoor) -> None:
    async with front.request("/x", app="photos") as answer:
        user = dict((await answer.json())["headers"])["pcloud-user"]
    claims = verify_user(APP_KEY, user, "photos")
    for app, key, now in (
        ("asleep", APP_KEY, None),
        ("photos", b"b" * 32, None),
        ("photos", APP_KEY, claims.expires + 1),
    ):
        with pytest.raises(Forbidden):
            verify_user(key, user, app, now)
    with pytest.raises(Forbidden):
        verify_user(APP_KEY, sign_user(APP_KEY, User("person:owner", "other", claims.expires)), "photos")


# --- other origins' pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["", "photos", "console"])
@pytest.mark.parametrize("says", [CROSS_SITE, SAME_SITE])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
async def test_attack_another_sites_page_gets_nothing_by_any_method(
    front: FrontDoor, app: str, says: dict[str, str], method: str
) -> None:
    """Without an Origin too, as browsers send it for pictures, scripts and GET."""
    for path in ("/", "/graphql", "/_pcloud/graphql", "/api/apps", "/signin"):
        async with front.request(path, app=app, method=method, headers=says) as answer:
            assert answer.status == 403, (path, answer.status)


async def test_attack_a_frame_of_a_foreign_page_shows_nothing_and_a_link_leads_here(front: FrontDoor) -> None:
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for app in ("", "photos"):
        for shown_in in ("iframe", "frame", "object", "embed"):
            async with front.request("/", app=app, headers={**visit, "Sec-Fetch-Dest": shown_in}) as answer:
                assert answer.status == 403
        async with front.request("/", app=app, headers={**visit, "Sec-Fetch-Dest": "document"}) as answer:
            assert answer.status == 200
        async with front.request(
            "/graphql", app=app, method="POST", headers={**visit, "Sec-Fetch-Dest": "document"}
        ) as answer:
            assert answer.status == 403, "a form that posts is no link"


FORMS = [
    ("text/plain", '{"query":"{revision}"}'), ("application/x-www-form-urlencoded", "query=%7Brevision%7D"),
    ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n{revision}\r\n--x--\r\n'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), FORMS)
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://photos.localhost", "http://asleep.localhost"]
)
@pytest.mark.parametrize("app", ["", "photos"])
async def test_attack_a_form_of_another_site_posts_nothing(
    front: FrontDoor, kind: str, body: str, origin: str, app: str
) -> None:
    headers = {"Origin": origin, "Content-Type": kind}
    async with front.request("/graphql", app=app, method="POST", headers=headers, data=body) as answer:
        assert answer.status == 403


async def test_attack_two_origins_are_no_origin(front: FrontDoor) -> None:
    own = f"http://{front.host()}"
    headers = [("Host", front.host()), ("Cookie", front.cookie()), ("Origin", own), ("Origin", "http://evil.example")]
    async with front.client.post(f"http://127.0.0.1:{front.port}/graphql", headers=headers, json={}) as answer:
        assert answer.status in (400, 403)


@pytest.mark.parametrize("app", ["", "photos", "console"])
@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://photos.localhost:1", "http://asleep.localhost"]
)
async def test_attack_no_other_page_opens_a_websocket_with_the_owners_session(
    front: FrontDoor, app: str, origin: str | None
) -> None:
    for path in ("/api/graphql",) if app == "console" else ("/graphql", "/_pcloud/graphql", "/echo"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await front.websocket(path, app=app, headers={"Origin": origin} if origin else {})
        assert refused.value.status == 403


async def test_attack_no_answer_invites_other_origins(front: FrontDoor) -> None:
    """Core sends no CORS header, and none of an app's passes: a careless app can't open itself to the others."""
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for app in ("", "photos"):
        async with front.request("/graphql", app=app, method="OPTIONS", headers=headers) as answer:
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    sloppy = CIMultiDict({"Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true"})
    assert not [name for name in returning_headers(sloppy) if name.lower().startswith("access-control-")]


# --- what every answer says --------------------------------------------------------------------------------------------------------

EVERYWHERE = [("", "/"), ("", "/signin"), ("", "/graphql"), ("", "/healthz"), ("", "/none"), ("photos", "/"), ("photos", "/_pcloud/x"),
              ("asleep", "/"), ("missing", "/"), ("console", "/"), ("console", "/api/none")]  # fmt: skip


@pytest.mark.parametrize(("app", "path"), EVERYWHERE)
@pytest.mark.parametrize("signed_in", [True, False])
async def test_attack_every_answer_is_kept_to_its_origin(
    front: FrontDoor, app: str, path: str, signed_in: bool
) -> None:
    async with front.request(path, app=app, signed_in=signed_in) as answer:
        said = answer.headers
        policies = said.getall("Content-Security-Policy")
    assert said["X-Content-Type-Options"] == "nosniff" and said["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert said["Cross-Origin-Opener-Policy"] == said["Cross-Origin-Resource-Policy"] == "same-origin"
    assert any("frame-ancestors 'none'" in one or "frame-ancestors 'self'" in one for one in policies)
    if app != "photos":
        assert all("unsafe" not in one for one in policies), "core's own pages allow nothing unsafe"
        assert any("default-src 'none'" in one for one in policies)


@pytest.mark.parametrize(
    "policy",
    [None, "default-src *", "default-src 'none'", "default-src 'self' https://evil.example; frame-ancestors *"],
)
def test_attack_an_apps_policy_only_takes_away_from_cores(policy: str | None) -> None:
    """A browser enforces every policy that it receives, so core's own is always one of them."""
    said = returning_headers(CIMultiDict({"Content-Security-Policy": policy} if policy else {}))
    policies = said.getall("Content-Security-Policy")
    assert policies[-1] == BOUNDARY and len(policies) == 2 and policies[0] == (policy or policies[0])
    assert "script-src 'self' 'wasm-unsafe-eval'" in policies[0] or policy


@pytest.mark.parametrize(
    "name",
    ["Clear-Site-Data", "Report-To", "NEL", "Reporting-Endpoints", "Alt-Svc", "Content-Security-Policy-Report-Only",
     "Strict-Transport-Security", "Connection", "Transfer-Encoding"],
)  # fmt: skip
def test_attack_an_app_says_nothing_that_reaches_beyond_its_origin(name: str) -> None:
    assert name not in returning_headers(CIMultiDict({name: '"cookies"'}))
    loose = returning_headers(
        CIMultiDict({"Referrer-Policy": "unsafe-url", "Cross-Origin-Opener-Policy": "unsafe-none"})
    )
    assert loose["Referrer-Policy"] == "same-origin" and loose.getall("Cross-Origin-Opener-Policy") == ["same-origin"]


async def test_attack_no_service_worker_comes_to_cores_origin(front: FrontDoor) -> None:
    """It would see what the owner's other pages there send; an app's stays on the app's own."""
    for path in ("/", "/graphql?asset=index.js", "/sw.js"):
        async with front.request(path, headers={"Service-Worker": "script"}) as answer:
            assert answer.status == 403


# --- hosts, paths, framing -----------------------------------------------------------------------------------------------------------

HOSTS = [
    "evil.example", "localhost.evil.example", "photos.localhost.", "photos..localhost", ".localhost", "photos.localhost@evil.example",
    "localhost:80:80", "localhost:-1", "photos.localhost:99999999", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0",
    "local\u212aost", "photos.localhost/..", "photos%2elocalhost",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
async def test_attack_a_host_that_is_not_ours_gets_no_page(front: FrontDoor, host: str) -> None:
    """DNS rebinding among others: the name resolves to this machine, but is not one of ours."""
    answer = await raw(
        front,
        f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode(),
    )
    assert answer.startswith(b"HTTP/1.1 400") and b'"person"' not in answer


FRAMINGS = {
    "both lengths": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": "Content-Length: 4\r\nContent-Length: 44\r\n",
    "a list of lengths": "Content-Length: 4, 44\r\n",
    "a signed length": "Content-Length: +4\r\n",
    "a length in hex": "Content-Length: 0x4\r\n",
    "a negative length": "Content-Length: -4\r\n",
    "an unknown coding": "Transfer-Encoding: xchunked\r\n",
    "a coding after chunked": "Transfer-Encoding: chunked, identity\r\n",
    "a space before the colon": "Transfer-Encoding : chunked\r\n",
    "a folded line": "X-A: b\r\n Transfer-Encoding: chunked\r\n",
    "a bare line feed": "X-A: b\nTransfer-Encoding: chunked\r\n",
    "a NUL": "X-A: b\0c\r\n",
    "a bare carriage return": "X-A: b\rTransfer-Encoding: chunked\r\n",
    "two hosts": "Host: evil.example\r\n",
}


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_attack_no_request_is_smuggled_through_to_an_app(front: FrontDoor, framing: str) -> None:
    """A server that reads the second request as one of its own would get it without the checks of the first."""
    smuggled = f"GET /smuggled HTTP/1.1\r\nHost: {front.host('photos')}\r\nPcloud-User: forged\r\n\r\n"
    head = f"POST /upload HTTP/1.1\r\nHost: {front.host('photos')}\r\nCookie: {front.cookie('photos')}\r\n"
    answer = await raw(front, f"{head}{FRAMINGS[framing]}\r\n0\r\n\r\n{smuggled}".encode())
    assert b"smuggled" not in answer.replace(b"Bad", b"") or b"HTTP/1.1 400" in answer[:64], answer
    assert answer.count(b"HTTP/1.1 200") <= 1 and b"forged" not in answer


PATHS = ["/%5fpcloud/graphql", "/_pcloud%2fgraphql", "//_pcloud/graphql", "/x/../_pcloud/graphql", "/./_pcloud/graphql", "/_PCLOUD/graphql",
         "/_pcloud/../graphql", "/_pcloud//graphql", "/%2e%2e/graphql", "/..%2f..%2fgraphql", "/_pcloud/%2e%2e/x", "/_pcloud;x/graphql",
         "/_pcloud\\graphql", "/graphql/..;/x"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_attack_no_path_leads_from_an_apps_origin_to_more_than_its_own_view(front: FrontDoor, path: str) -> None:
    """Either core refuses it, or answers with the app's rights, or the app itself gets it unchanged."""
    request = f"POST {path} HTTP/1.1\r\nHost: {front.host('photos')}\r\nCookie: {front.cookie('photos')}\r\n"
    answer = await raw(front, f"{request}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    status, body = int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]
    assert status in (200, 400, 404), answer
    if status == 200:
        told = json.loads(body)
        assert told.get("through") == "photos" or told["path"] == path, told


@pytest.mark.parametrize(
    "path",
    ["/graphql/../x", "/graphql/%2e%2e", "//graphql", "/signin/../graphql", "/graphql/photos%2f..", "/%67raphql"],
)
async def test_attack_a_path_without_credentials_reaches_nothing(front: FrontDoor, path: str) -> None:
    answer = await raw(
        front,
        f"POST {path} HTTP/1.1\r\nHost: {front.host()}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode(),
    )
    assert int(answer[9:12]) in (400, 401, 404) and b'"person"' not in answer


@pytest.mark.parametrize(
    "target", ["http://evil.example/x", "http://127.0.0.1:1/x", "*", "evil.example:80", "@evil.example/", "?x"]
)
async def test_attack_a_target_other_than_a_path_is_not_forwarded(front: FrontDoor, target: str) -> None:
    for method in ("GET", "OPTIONS", "CONNECT"):
        request = f"{method} {target} HTTP/1.1\r\nHost: {front.host('photos')}\r\nCookie: {front.cookie('photos')}\r\n"
        answer = await raw(front, f"{request}Connection: close\r\n\r\n".encode())
        assert answer[9:10] == b"4", answer


# --- signing in --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"])
async def test_attack_a_huge_sign_in_form_is_not_read(front: FrontDoor, kind: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield b"x=" + b"y" * 65536

    try:
        async with front.request(
            "/signin", method="POST", signed_in=False, headers={"Content-Type": kind}, data=endless()
        ) as answer:
            assert answer.status in (413, 415)
    except aiohttp.ClientError:
        pass  # the front has closed the connection on it
    async with front.request("/healthz", signed_in=False) as answer:
        assert answer.status == 200


async def test_attack_a_links_code_is_of_no_use_at_any_other_host(front: FrontDoor) -> None:
    for made_for in ("photos", "console", "asleep"):
        async with front.request(front.link(made_for), signed_in=False) as answer:
            assert answer.status == 403 and "Set-Cookie" not in answer.headers
    code = front.link("photos").partition("code=")[2]
    for app in ("asleep", "console", "photos"):
        async with front.request(f"/_pcloud/signin?code={code}", app=app, signed_in=False) as answer:
            assert front.statements.cookie + "=" not in str(answer.headers.getall("Set-Cookie"))
            assert urlsplit(answer.headers["Location"]).path == "/signin"


@pytest.mark.parametrize("target", ["http://photos.localhost@evil.example/", "http://evil.example/#http://photos.localhost/",
                                    "http://photos.localhost%2f@evil.example/", "http://[::1]@evil.example/",
                                    "//photos.localhost/"])  # fmt: skip
async def test_attack_no_next_leads_out_of_the_cloud(front: FrontDoor, target: str) -> None:
    async with front.request(f"/signin?next={quote(target, safe='')}") as answer:
        assert answer.headers["Location"] == "/"


async def test_attack_an_answer_with_a_code_or_a_session_is_kept_by_no_cache(front: FrontDoor) -> None:
    async with front.request(front.link(), signed_in=False) as answer:
        assert answer.headers["Cache-Control"] == "no-store"


# --- half requests -----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def many(front: FrontDoor, count: int, begin: bytes) -> AsyncIterator[None]:
    opened = [await asyncio.open_connection("127.0.0.1", front.port) for _ in range(count)]
    for _, writer in opened:
        writer.write(begin)
    yield
    for _, writer in opened:
        writer.close()


async def test_attack_many_half_requests_do_not_block_other_clients(front: FrontDoor) -> None:
    half = f"POST /graphql HTTP/1.1\r\nHost: {front.host()}\r\nX-Slow: ".encode()
    async with many(front, 200, half), front.request("/graphql") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "head", [b"X: " + b"y" * 70_000, b"X: y\r\n" * 20_000, b"\r\n".join(b"C%d: z" % n for n in range(9_000))]
)
async def test_attack_endless_headers_are_refused(front: FrontDoor, head: bytes) -> None:
    answer = await raw(front, b"GET /healthz HTTP/1.1\r\nHost: " + front.host().encode() + b"\r\n" + head + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 431"))
    async with front.request("/healthz", signed_in=False) as after:
        assert after.status == 200


# --- what is recorded ------------------------------------------------------------------------------------------------------------


async def test_attack_what_the_front_refuses_stands_in_the_audit_log(node: NodeProcess) -> None:
    """On a whole node: each way in which a page or a stranger was turned away."""
    async with aiohttp.ClientSession() as client:
        for path, headers, form in (
            ("/graphql", {"Host": "evil.example"}, None),
            ("/healthz", CROSS_SITE, None),
            ("/signin", {}, {"token": "owner_wrong"}),
        ):
            async with client.request(
                "POST" if form else "GET", f"{node.address}{path}", headers=headers, data=form
            ) as answer:
                assert answer.status in (400, 403)

    def told() -> bool:
        whats = [one["what"] for one in node.graphql('{ audit(kind: "web", first: 50) }')["audit"]]
        return all(
            any(words in what for what in whats) for words in ("evil.example", "another origin", "a wrong credential")
        )

    await asyncio.to_thread(wait_until, told, seconds=20, what="three lines of the audit log")
