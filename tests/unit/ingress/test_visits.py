"""An app acts for its visitors only while they visit it."""

from __future__ import annotations

import pytest

from core.access.caller import OWNER, Caller
from core.front.ingress.visits import Visits
from pcloud.errors import Forbidden
from pcloud.web import User, sign_user, verify_user

KEY = b"k" * 32
PHONE = Caller("device", "d", scopes=frozenset({"view"}))


def test_a_visitor_acts_through_the_app_while_the_visit_lasts() -> None:
    refused: list[str] = []
    visits = Visits(lambda app, why: refused.append(app))
    with visits.open("photos", KEY, OWNER) as header, visits.open("photos", KEY, PHONE) as other:
        assert verify_user(KEY, header, "photos").actor == "person:owner"
        assert visits.visitor("photos", header) == Caller("person", "owner", through="photos")
        assert visits.visitor("photos", other) == Caller("device", "d", through="photos", scopes=frozenset({"view"}))
        with pytest.raises(Forbidden):
            visits.visitor("notes", header)
    with pytest.raises(Forbidden, match="does not name a visitor of photos"):
        visits.visitor("photos", header)
    assert refused == ["notes", "photos"]


def test_visit_signed_by_the_app_itself_is_refused() -> None:
    """The app has the key with which it checks its visitors."""
    visits = Visits()
    with visits.open("photos", KEY, PHONE) as header:
        claims = verify_user(KEY, header, "photos")
        for user in (User("person:owner", "photos", claims.expires, claims.visit), User("person:owner", "photos", 2e9)):
            with pytest.raises(Forbidden):
                visits.visitor("photos", sign_user(KEY, user))


def test_two_visits_at_the_same_moment_are_two() -> None:
    visits = Visits()
    with visits.open("photos", KEY, OWNER) as first:
        with visits.open("photos", KEY, OWNER) as second:
            assert first != second
        assert visits.visitor("photos", first).actor == "person:owner"
