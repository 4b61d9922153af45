"""What core signs for a browser: each for one purpose and one host, some for a time, and only core can make one."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.people.owner.credential import new_token, token_hash
from core.people.owner.statement import LINK_SECONDS, Statements, cookies_named, way_of
from tests.clock import Clock

HOST, PHOTOS = "localhost:8080", "photos.localhost:8080"
KEY = b"k" * 32


@pytest.fixture
def statements(clock: Clock) -> Statements:
    return Statements(KEY, "epoch", clock)


def test_a_cookie_names_its_session_at_its_host_alone(statements: Statements) -> None:
    made = statements.session_value("s1", PHOTOS)
    assert statements.session_in(made, PHOTOS) == "s1"
    for other in (HOST, "random-puppy.localhost:8080", "photos.localhost:8081", "photos.localhost", ""):
        assert statements.session_in(made, other) == ""


def test_a_link_begins_one_session_within_its_time(statements: Statements, clock: Clock) -> None:
    code = statements.link_code(HOST, "credential")
    session = statements.link_in(code, HOST, "credential")
    assert session and session == statements.link_in(code, HOST, "credential")
    assert statements.link_in(statements.link_code(HOST, "credential"), HOST, "credential") not in ("", session)
    assert statements.link_in(code, PHOTOS, "credential") == statements.link_in(code, HOST, "another") == ""
    clock.now += LINK_SECONDS + 1
    assert statements.link_in(code, HOST, "credential") == ""


def test_a_way_into_an_app_is_for_the_browser_that_asked(statements: Statements, clock: Clock) -> None:
    code = statements.entry_code(PHOTOS, "s1", way_of("mine"))
    assert statements.entry_in(code, PHOTOS, way_of("mine")) == "s1"
    assert statements.entry_in(code, PHOTOS, way_of("other")) == statements.entry_in(code, HOST, way_of("mine")) == ""
    clock.now += 61
    assert statements.entry_in(code, PHOTOS, way_of("mine")) == ""


def test_no_statement_serves_for_another_purpose(statements: Statements) -> None:
    way = way_of("mine")
    cookie, link = statements.session_value("s1", HOST), statements.link_code(HOST, "credential")
    entry = statements.entry_code(HOST, "s1", way)
    assert statements.session_in(link, HOST) == statements.session_in(entry, HOST) == ""
    assert statements.link_in(cookie, HOST, "credential") == statements.link_in(entry, HOST, "credential") == ""
    assert statements.entry_in(cookie, HOST, way) == statements.entry_in(link, HOST, way) == ""


def test_statement_of_another_key_or_version_is_refused(statements: Statements) -> None:
    assert statements.session_in(Statements(b"x" * 32, "epoch").session_value("s1", HOST), HOST) == ""
    claims = base64.urlsafe_b64encode(b'{"sub":"owner","host":"localhost:8080","exp":2000000000}').rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(KEY, claims, "sha256")).rstrip(b"=")
    assert statements.session_in(f"{claims.decode()}.{signature.decode()}", HOST) == ""


@given(position=st.integers(0), letter=st.characters())
def test_a_statement_with_any_letter_changed_is_refused(position: int, letter: str) -> None:
    statements = Statements(KEY, "epoch")
    made = statements.session_value("s1", HOST)
    place = position % len(made)
    forged = made[:place] + letter + made[place + 1 :]
    # The last letter of unpadded base64 holds spare bits, but the signature is compared as text.
    assert (statements.session_in(forged, HOST) == "") == (forged != made)


@given(st.text())
def test_no_text_is_taken_for_a_statement(text: str) -> None:
    statements = Statements(KEY, "epoch")
    assert (
        statements.session_in(text, HOST)
        == statements.link_in(text, HOST, "")
        == statements.entry_in(text, HOST, "")
        == ""
    )


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True), st.text(min_size=1))
def test_a_way_is_for_its_host_alone_however_they_are_put_together(hosts: list[str], way: str) -> None:
    statements = Statements(KEY, "epoch")
    made = statements.entry_code(hosts[0], "s1", way)
    assert statements.entry_in(made, hosts[0], way) == "s1"
    assert statements.entry_in(made, hosts[1], way) == statements.entry_in(made, hosts[0] + way, "") == ""


def test_undecodable_bytes_are_refused_without_an_error(statements: Statements) -> None:
    stray = b"\xff.\xff".decode(errors="surrogateescape")  # as aiohttp hands a header's bytes on
    assert statements.session_in(stray, HOST) == statements.link_in(stray, HOST, "") == ""
    assert len(token_hash(stray)) == len(way_of(stray)) == 64


def test_all_cookies_of_the_name_count_up_to_a_bound() -> None:
    assert list(cookies_named(["a=1; b=2;a=3", "a=4"], "a")) == ["1", "3", "4"]
    assert len(list(cookies_named(["a=1;" * 1000], "a"))) == 64


def test_two_clouds_on_one_machine_have_cookies_of_two_names() -> None:
    one, two = Statements(KEY, "one"), Statements(KEY, "two")
    assert len({made.session_cookie(secure) for made in (one, two) for secure in (True, False)}) == 4


def test_a_credential_holds_160_random_bits() -> None:
    tokens = {new_token("owner") for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == len("owner_") + 32 for token in tokens)
