"""Who acts is two: rights and quotas follow the app, names the person."""

from __future__ import annotations

import pytest

from core.caller import OWNER, Caller, Scope, caller_from
from pcloud.errors import Corrupt, Forbidden

PAGE = Caller("person", "owner", through="evil")


def test_who_acts_through_an_app_has_its_authority_and_its_own_name() -> None:
    assert (PAGE.actor, PAGE.authority, PAGE.view_app) == ("person:owner", "app:evil", "evil")
    assert (OWNER.actor, OWNER.authority, OWNER.view_app) == ("person:owner", "person:owner", "")
    app = Caller("app", "evil")
    assert (app.actor, app.authority, app.view_app) == ("app:evil", "app:evil", "evil")


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ((), ()),
        (("view",), ("view",)),
        (("upload",), ("upload",)),
        (("view", "upload"), ("view", "upload")),
        (("manage",), ("view", "upload", "manage")),
    ],
)
@pytest.mark.parametrize("through", ["", "evil"])
def test_a_device_may_what_it_was_paired_for(scopes: tuple[Scope, ...], may: tuple[Scope, ...], through: str) -> None:
    device = Caller("device", "d", through, scopes=frozenset(scopes))
    every: tuple[Scope, ...] = ("view", "upload", "manage")
    assert tuple(scope for scope in every if device.may(scope)) == may
    for scope in set(every) - set(may):
        with pytest.raises(Forbidden, match=f"--scope {scope}"):
            device.demand(scope)


def test_people_and_apps_need_no_scope() -> None:
    assert all(one.may("manage") for one in (OWNER, PAGE, Caller("app", "evil")))


def test_a_caller_is_known_again_from_a_record() -> None:
    for one in (OWNER, PAGE, Caller("app", "evil"), Caller("device", "d")):
        assert caller_from(one.actor, one.through) == one
    assert caller_from("owner") == OWNER  # as records said before people had ids
    with pytest.raises(Corrupt):
        caller_from("anyone")
