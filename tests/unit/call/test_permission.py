"""Who may call what, and how long a handed-over action stays valid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core.access.caller import Caller
from core.work.call.capability import Capabilities
from core.work.call.permission import demand, demand_scope
from core.work.call.target import ActionName, CapabilityName, parse_stored, parse_target, stored_target
from pcloud.errors import Forbidden, Rejected
from projections.directory import Directory
from projections.graph.catalog import Catalog

OWNER, NOTES, NOTES_TWO, DESK = (
    Caller("person", "owner"),
    Caller("app", "notes"),
    Caller("app", "notes-two"),
    Caller("app", "desk"),
)
KEEP = ActionName.parse("notes-two/keep")


class Granted:
    """Pairs of app and target, which a test may remove."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = set(pairs)

    def may_call(self, app: str, target: str) -> bool:
        return (app, target) in self.pairs


class Minted(Granted):
    """With capabilities, as `Capabilities` writes them."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__(*pairs)
        self.fields: dict[str, dict[str, Any]] = {}

    def capability(self, id: str) -> Any:
        return SimpleNamespace(**self.fields[id]) if id in self.fields else None

    async def write(self, actor: str, changes: list[Any], **_: Any) -> None:
        self.fields |= {change.ref.id: dict(change.set) for change in changes}


@pytest.mark.parametrize(
    "caller", [NOTES, Caller("person", "owner", through="notes"), Caller("device", "d", through="notes")]
)
def test_app_and_its_pages_call_only_their_own_actions(
    caller: Caller,
) -> None:
    demand(Granted(), caller, ActionName.parse("notes/keep"))
    with pytest.raises(Forbidden):
        demand(Granted(), caller, KEEP)


def test_the_owner_calls_everything() -> None:
    demand(Granted(), OWNER, KEEP)


@pytest.mark.parametrize("app", ["note", "notes", "notes-two-more"])
def test_directory_does_not_match_an_app_by_name_prefix(app: str) -> None:
    directory = Directory(Catalog())
    assert not directory.may_call(app, str(KEEP))
    assert directory.may_call("notes-two", str(KEEP))


async def test_capability_works_for_its_receiver_while_the_giver_may_call() -> None:
    granted = Minted(("notes", str(KEEP)))
    capabilities = Capabilities(b"k" * 32, granted, granted)  # type: ignore[arg-type]
    text = await capabilities.mint(NOTES, "desk", KEEP)
    name = parse_target(text)
    assert isinstance(name, CapabilityName)
    assert capabilities.resolve(DESK, name) == KEEP
    for other in (NOTES, NOTES_TWO, OWNER, Caller("device", "d")):
        with pytest.raises(Forbidden):
            capabilities.resolve(other, name)
    granted.pairs.clear()
    with pytest.raises(Forbidden):
        capabilities.resolve(DESK, name)


async def test_each_giver_and_receiver_has_its_own_token() -> None:
    granted = Minted(("notes", str(KEEP)), ("desk", str(KEEP)))
    capabilities = Capabilities(b"k" * 32, granted, granted)  # type: ignore[arg-type]
    given = [(NOTES, "desk"), (NOTES, "shelf"), (DESK, "shelf"), (OWNER, "shelf")]
    assert len({await capabilities.mint(giver, receiver, KEEP) for giver, receiver in given}) == len(given)


@pytest.mark.parametrize("through", ["", "notes"])
@pytest.mark.parametrize(
    ("target", "scopes"),
    [
        ("role:object-storage/get-object", {"view", "manage"}),
        ("role:object-storage/list-objects", {"view", "manage"}),
        ("role:object-storage/put-object", {"upload", "manage"}),
        ("role:object-storage/delete-object", {"manage"}),
        ("role:object-storage/issue-credentials", {"manage"}),
        ("role:other/get-object", {"manage"}),
        ("object-store/get-object", {"manage"}),
        ("notes/keep", {"manage"}),
        ("capability:" + "x" * 32, {"manage"}),
    ],
)
def test_device_calls_only_within_its_scopes(target: str, scopes: set[str], through: str) -> None:
    for scope in ("view", "upload", "manage"):
        device = Caller("device", "d", through, scopes=frozenset({scope}))  # type: ignore[arg-type]
        if scope in scopes:
            demand_scope(device, parse_target(target))
        else:
            with pytest.raises(Forbidden):
                demand_scope(device, parse_target(target))


@pytest.mark.parametrize("text", ["notes/keep", "role:object-storage/get-object", "capability:" + "x" * 43])
def test_a_stored_target_is_the_same_target_and_no_secret(text: str) -> None:
    target, stored = parse_target(text), stored_target(parse_target(text))
    assert parse_stored(stored) == target
    assert "x" * 43 not in stored + repr(target)


def test_no_caller_may_name_a_stored_capability() -> None:
    with pytest.raises(Rejected):
        parse_target(stored_target(parse_target("capability:" + "x" * 43)))
