"""A caller through an app is two: the app for rights and quotas, the person for names."""

from __future__ import annotations

import pytest

from core.access.caller import OWNER, Caller, Scope, caller_now
from core.graph.schema import builtin_catalog
from pcloud.errors import Corrupt, Forbidden
from pcloud.event import Change, Kind, StoredEvent
from pcloud.subject import Ref
from projections.directory import Directory

PAGE = Caller("person", "owner", through="evil")


def test_caller_through_an_app_has_the_apps_authority_and_its_own_name() -> None:
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
def test_device_may_do_what_it_was_paired_for(scopes: tuple[Scope, ...], may: tuple[Scope, ...], through: str) -> None:
    device = Caller("device", "d", through, scopes=frozenset(scopes))
    every: tuple[Scope, ...] = ("view", "upload", "manage")
    assert tuple(scope for scope in every if device.may(scope)) == may
    for scope in set(every) - set(may):
        with pytest.raises(Forbidden, match=f"--scope {scope}"):
            device.demand(scope)


def test_people_and_apps_need_no_scope() -> None:
    assert all(one.may("manage") for one in (OWNER, PAGE, Caller("app", "evil")))


def test_a_caller_is_known_again_from_a_record() -> None:
    directory = Directory(builtin_catalog())
    for one in (OWNER, PAGE, Caller("app", "evil")):
        assert caller_now(directory, one.actor, one.through) == one
    assert caller_now(directory, "owner") == OWNER  # as in records from before people had ids
    with pytest.raises(Corrupt):
        caller_now(directory, "anyone")


async def test_recorded_device_has_its_current_scopes_while_paired() -> None:
    directory = Directory(builtin_catalog())

    async def device(sequence: int, **values: object) -> None:
        ref, change = Ref("core", "Device", "d"), Change(set={"name": "d", "state": "active", **values})
        kind = Kind.CREATED if sequence == 1 else Kind.UPDATED
        stored = StoredEvent(sequence, 1.0, ref, kind, change, f"t{sequence}", 1, 1, "person:owner", digest=1)
        await directory.apply("epoch1", [stored])

    with pytest.raises(Forbidden, match="no longer paired"):
        caller_now(directory, "device:d")
    await device(1, scopes=["manage"])
    await device(2, scopes=["view"])
    assert caller_now(directory, "device:d", "evil") == Caller("device", "d", "evil", scopes=frozenset({"view"}))
    for sequence, ended in enumerate(({"rights": "metrics"}, {"state": "revoked"}), 3):
        await device(sequence, **ended)
        with pytest.raises(Forbidden, match="no longer paired"):
            caller_now(directory, "device:d")
