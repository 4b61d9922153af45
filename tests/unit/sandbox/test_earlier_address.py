"""An app's port at 127.0.0.1 is for programs that know it there, and closed to browsers, whose cookies are core's."""

from __future__ import annotations

import pytest

from core.apps.sandbox.earlier_address import is_program

HERE = "127.0.0.1:17706"


def request(*fields: str, body: str = "") -> bytes:
    return ("GET /images/1.jpg HTTP/1.1\r\n" + "".join(f"{field}\r\n" for field in fields) + f"\r\n{body}").encode()


@pytest.mark.parametrize("field", [f"Host: {HERE}", f"host:{HERE}", f"HOST:\t{HERE} "])
def test_program_that_knows_the_address_passes(field: str) -> None:
    assert is_program(
        request("Accept: */*", field, "Authorization: AWS4-HMAC-SHA256 …", body="Cookie: in the body"), HERE
    )


@pytest.mark.parametrize(
    "fields",
    [
        ("Host: localhost:17706",),
        ("Host: console.localhost:17706",),
        ("Host: 127.0.0.1:17707",),
        ("Host: 127.0.0.1",),
        (),
        (f"Host: {HERE}", "Host: localhost:17706"),
        (f"Host: {HERE}", "Cookie: session=1"),
        (f"Host: {HERE}", "cookie : session=1"),
        (f"Host: {HERE}", "sec-fetch-site: cross-site"),
        (f"Host: {HERE}", "Sec-Fetch-Mode: navigate"),
    ],
)
def test_attack_browser_gets_no_connection(fields: tuple[str, ...]) -> None:
    assert not is_program(request(*fields), HERE)


def test_unfinished_head_gets_no_connection() -> None:
    assert not is_program(request(f"Host: {HERE}")[:-2], HERE) and not is_program(b"", HERE)
