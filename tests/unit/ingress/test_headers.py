"""What passes between a browser and an app, and what never does."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from core.front.ingress.headers import passing_headers, returning_headers


@pytest.mark.parametrize(
    "cookies", ["pcloud_1a2b=SECRET; theme=dark", "theme=dark;pcloud_1a2b=SECRET", "theme=dark ;  pcloud_1a2b=SECRET ;"]
)
def test_cores_cookie_never_passes_and_others_do(cookies: str) -> None:
    assert passing_headers({"Cookie": cookies})["Cookie"] == "theme=dark"


def test_no_cookie_header_is_left_when_nothing_is_in_it() -> None:
    assert "Cookie" not in passing_headers({"Cookie": "pcloud_1a2b=SECRET"})


@pytest.mark.parametrize(
    "name",
    ["Pcloud-User", "pcloud-user", "Pcloud_User", "PCLOUD-RUN", "X-Forwarded-Host", "X_Forwarded_For", "Authorization", "Host",
     "Connection", "Transfer-Encoding"],
)  # fmt: skip
def test_client_cannot_set_cores_own_headers(name: str) -> None:
    assert dict(passing_headers(CIMultiDict({name: "forged", "Accept": "text/html"}))) == {"Accept": "text/html"}


@pytest.mark.parametrize(
    "cookie", ["pcloud_1a2b=x", " pcloud_1a2b=x", "a=b; Domain=localhost", "a=b; domain=.example.org"]
)
def test_app_sets_no_cookies_of_core_or_other_hosts(cookie: str) -> None:
    assert "Set-Cookie" not in returning_headers({"Set-Cookie": cookie})


def test_an_apps_own_cookie_and_headers_come_through() -> None:
    headers = returning_headers({"Set-Cookie": "theme=dark; Path=/", "ETag": '"1"', "Connection": "close"})
    assert headers["Set-Cookie"] == "theme=dark; Path=/" and headers["ETag"] == '"1"' and "Connection" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
