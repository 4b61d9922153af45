"""Signing a browser in: by a link, by the credential, and on to an app; never elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from core.people.owner.statement import way_of
from tests.integration.node.front import TOKEN, FrontDoor

HTML = {"Accept": "text/html"}


def cookie_of(answer) -> str:
    return answer.headers.get("Set-Cookie", "")


async def test_a_link_signs_one_browser_in_once(front: FrontDoor) -> None:
    path = front.link()
    async with front.request(path, signed_in=False) as first:
        assert first.status == 303 and first.headers["Location"] == "/"
        cookie = cookie_of(first)
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Domain" not in cookie
    async with front.request("/graphql", signed_in=False, headers={"Cookie": cookie.partition(";")[0]}) as answer:
        assert (await answer.json())["kind"] == "person"
    async with front.request(path, signed_in=False) as second:
        assert second.status == 403 and not cookie_of(second)


async def test_the_credential_signs_in_and_a_wrong_one_does_not(front: FrontDoor) -> None:
    async with front.request("/signin", method="POST", signed_in=False, data={"token": TOKEN, "next": ""}) as right:
        assert right.status == 303 and cookie_of(right)
    async with front.request("/signin", method="POST", signed_in=False, data={"token": "owner_wrong"}) as wrong:
        assert wrong.status == 403 and not cookie_of(wrong)


async def test_the_sign_in_form_of_another_site_is_refused(front: FrontDoor) -> None:
    headers = {"Origin": "http://evil.example"}
    async with front.request(
        "/signin", method="POST", signed_in=False, data={"token": TOKEN}, headers=headers
    ) as answer:
        assert answer.status == 403 and not cookie_of(answer)


async def test_a_session_of_one_host_is_of_no_use_at_another(front: FrontDoor) -> None:
    stolen = {"Cookie": front.cookie("photos")}
    async with front.request("/graphql", signed_in=False, headers=stolen) as core:
        assert core.status == 401
    async with front.request("/", app="asleep", signed_in=False, headers=stolen) as other:
        assert other.status == 401


@pytest.mark.parametrize("value", ["", "x", "x.y", "e30.", ".", "%ff.%ff", "eyJob3N0IjoibG9jYWxob3N0In0.AAAA"])
async def test_a_forged_cookie_is_refused(front: FrontDoor, value: str) -> None:
    forged = {"Cookie": f"{front.statements.cookie}={value}"}
    async with front.request("/graphql", signed_in=False, headers=forged) as answer:
        assert answer.status == 401


async def test_a_browser_goes_from_an_app_to_the_sign_in_and_back(front: FrontDoor) -> None:
    async with front.request("/album/7?big=1", app="photos", signed_in=False, headers=HTML) as first:
        assert first.status == 303
        there = urlsplit(first.headers["Location"])
        assert there.netloc == front.host() and there.path == "/signin"
        way = {"Cookie": cookie_of(first).partition(";")[0]}
        assert "HttpOnly" in cookie_of(first) and "Domain" not in cookie_of(first)
    async with front.request(f"/signin?{there.query}") as second:
        back = urlsplit(second.headers["Location"])
        assert back.netloc == front.host("photos") and back.path == "/_pcloud/signin"
    async with front.request(f"{back.path}?{back.query}", app="photos", signed_in=False, headers=way) as third:
        assert third.status == 303 and third.headers["Location"] == "/album/7?big=1"
        cookie = cookie_of(third).partition(";")[0]
    async with front.request("/album/7", app="photos", signed_in=False, headers={"Cookie": cookie}) as page:
        assert page.status == 200
    for other in ({}, {"Cookie": f"{front.statements.way_cookie(secure=False)}=another"}):
        async with front.request(f"{back.path}?{back.query}", app="photos", signed_in=False, headers=other) as again:
            assert urlsplit(again.headers["Location"]).path == "/signin"
            assert f"{front.statements.cookie}=" not in cookie_of(again)


ELSEWHERE = [
    "//evil.example", "http://evil.example/", "https://evil.example", "http://localhost@evil.example/", "javascript:alert(1)",
    "http://photos.localhost.evil.example/", "http://16909060\\.localhost/", "\\\\evil.example", "/\\evil.example",
    "data:text/html,x", "http:evil.example", "http:///evil.example", "\thttp://evil.example", "ftp://localhost/",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("way", ["link", "session", "form"])
async def test_signing_in_never_leads_elsewhere(front: FrontDoor, target: str, way: str) -> None:
    if way == "form":
        request = front.request("/signin", method="POST", signed_in=False, data={"token": TOKEN, "next": target})
    else:
        path = f"{front.link()}&" if way == "link" else "/signin?"
        request = front.request(f"{path}next={quote(target, safe='')}&way=x", signed_in=way == "session")
    async with request as answer:
        assert answer.status == 303 and answer.headers["Location"] == "/"


async def test_another_port_of_this_machine_gets_no_code(front: FrontDoor) -> None:
    """A program that listens there could bring the code back under its host's name."""
    for host in (f"photos.localhost:{front.port + 1}", "photos.localhost", f"localhost:{front.port + 1}"):
        async with front.request(f"/signin?way=x&next={quote(f'http://{host}/', safe='')}") as answer:
            assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "http://evil.example", "/\t/evil.example", "evil"]
)
async def test_the_way_into_an_app_stays_in_the_app(front: FrontDoor, path: str) -> None:
    code = front.statements.entry_code(front.host("photos"), front.session.id, way_of("mine"))
    way = {"Cookie": f"{front.statements.way_cookie(secure=False)}=mine"}
    async with front.request(
        f"/_pcloud/signin?code={code}&path={quote(path, safe='')}", app="photos", signed_in=False, headers=way
    ) as answer:
        assert answer.status == 303 and answer.headers["Location"] == "/"


async def test_a_code_for_one_app_is_of_no_use_at_another(front: FrontDoor) -> None:
    way = {"Cookie": f"{front.statements.way_cookie(secure=False)}=mine"}
    target = quote(f"http://{front.host('photos')}/", safe="")
    async with front.request(f"/signin?next={target}&way={way_of('mine')}") as answer:
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    async with front.request(f"/_pcloud/signin?code={code}", app="asleep", signed_in=False, headers=way) as other:
        assert f"{front.statements.cookie}=" not in cookie_of(other)
        assert urlsplit(other.headers["Location"]).path == "/signin"


async def test_the_page_shows_what_was_asked_for_as_text(front: FrontDoor) -> None:
    target = f'http://{front.host()}/"><script>alert(1)</script>'
    async with front.request(f"/signin?next={quote(target, safe='')}", signed_in=False) as answer:
        assert "<script>" not in await answer.text()
        assert (
            answer.headers["Cache-Control"] == "no-store"
            and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        )
