"""Sessions and sign-in codes: each for one host, for a time, and nobody else can make one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.owner import session as module
from core.owner.credential import new_token, token_hash
from core.owner.session import Sessions, sign, verified

HOST = "localhost:8080"
KEY = b"k" * 32


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(KEY, "epoch")


def test_a_code_signs_in_once(sessions: Sessions) -> None:
    code = sessions.new_code(HOST)
    made = sessions.redeem(code, HOST)
    assert made and sessions.holds(made, HOST)
    assert sessions.redeem(code, HOST) is None


def test_a_code_is_of_no_use_at_another_host_and_is_used_up_by_the_attempt(sessions: Sessions) -> None:
    code = sessions.new_code("photos.localhost:8080")
    assert sessions.redeem(code, HOST) is None
    assert sessions.redeem(code, "photos.localhost:8080") is None


def test_a_code_is_of_no_use_after_its_time(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    code = sessions.new_code(HOST, seconds=60)
    later = time.time() + 61
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert sessions.redeem(code, HOST) is None


def test_a_made_up_or_empty_code_signs_nobody_in(sessions: Sessions) -> None:
    assert sessions.redeem("", "") is None
    assert sessions.redeem("made-up", HOST) is None


def test_only_so_many_codes_wait_at_once(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CODES", 3)
    codes = [sessions.new_code(HOST) for _ in range(5)]
    assert [sessions.redeem(code, HOST) is not None for code in codes] == [False, False, True, True, True]


def test_a_session_of_one_host_is_of_no_use_at_another(sessions: Sessions) -> None:
    made = sessions.new_session("photos.localhost:8080")
    assert sessions.holds(made, "photos.localhost:8080")
    for other in (HOST, "random-puppy.localhost:8080", "photos.localhost:8081", "photos.localhost", ""):
        assert not sessions.holds(made, other)


def test_a_session_ends(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sessions.new_session(HOST)
    later = time.time() + module.SESSION_SECONDS + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert not sessions.holds(made, HOST)


def test_a_session_signed_with_another_key_is_refused(sessions: Sessions) -> None:
    assert not sessions.holds(Sessions(b"x" * 32, "epoch").new_session(HOST), HOST)


def test_claims_without_a_time_or_a_host_are_no_session(sessions: Sessions) -> None:
    assert not sessions.holds(sign(KEY, {"sub": "owner", "host": HOST}), HOST)
    assert not sessions.holds(sign(KEY, {"sub": "owner", "exp": time.time() + 60}), HOST)


@given(position=st.integers(0), letter=st.characters())
def test_a_session_with_any_letter_changed_is_refused(position: int, letter: str) -> None:
    made = sign(KEY, {"sub": "owner", "host": HOST, "exp": 2**40})
    place = position % len(made)
    forged = made[:place] + letter + made[place + 1 :]
    # The last letter of unpadded base64 holds spare bits, but the signature is compared as text.
    assert (verified(KEY, forged) is None) == (forged != made)


@given(st.text())
def test_no_text_is_taken_for_a_session(text: str) -> None:
    assert verified(KEY, text) is None


def test_bytes_that_are_no_text_are_refused_and_not_a_failure(sessions: Sessions) -> None:
    stray = b"\xff.\xff".decode(errors="surrogateescape")  # as aiohttp hands a header's bytes on
    assert not sessions.holds(stray, HOST)
    assert len(token_hash(stray)) == 64


def test_two_clouds_on_one_machine_have_cookies_of_two_names() -> None:
    assert Sessions(KEY, "one").cookie != Sessions(KEY, "two").cookie


def test_a_credential_holds_160_random_bits() -> None:
    tokens = {new_token("owner") for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == len("owner_") + 32 for token in tokens)
