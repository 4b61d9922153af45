"""A visitor's identity is accepted only with this node's signature, for this app, and for a limited time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcloud.errors import Forbidden
from pcloud.web import User, sign_user, verify_user

KEY = b"k" * 32
USER = User("device:phone", "photos", 2000.0)


def test_a_signed_user_is_known() -> None:
    assert verify_user(KEY, sign_user(KEY, USER), "photos", now=1999) == USER


@pytest.mark.parametrize(
    ("key", "header", "app", "now", "reason"),
    [
        (KEY, "", "photos", 0, "not signed by this node"),
        (b"x" * 32, sign_user(KEY, USER), "photos", 0, "not signed by this node"),
        (b"", sign_user(b"", USER), "photos", 0, "not signed by this node"),
        (KEY, sign_user(KEY, USER), "notes", 0, "signed for another app"),
        (KEY, sign_user(KEY, USER), "photos", 2001, "has expired"),
    ],
)
def test_anybody_else_is_turned_away(key: bytes, header: str, app: str, now: float, reason: str) -> None:
    with pytest.raises(Forbidden, match=reason):
        verify_user(key, header, app, now)


@given(st.integers(0, len(sign_user(KEY, USER)) - 1), st.characters(max_codepoint=255))
def test_one_changed_character_invalidates_the_signature(at: int, character: str) -> None:
    header = sign_user(KEY, USER)
    changed = header[:at] + character + header[at + 1 :]
    try:
        user = verify_user(KEY, changed, "photos", now=0)
    except Forbidden:
        return
    assert user == USER  # base64's last character has unused bits
