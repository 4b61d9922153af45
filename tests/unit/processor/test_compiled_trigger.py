"""Which events a trigger matches, and which triggers are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.graph.schema import ViewField, ViewType
from core.work.processor.compiled_trigger import CompiledTrigger, compile_trigger
from pcloud.errors import Rejected
from pcloud.event import Change, Kind, StoredEvent
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.graph.catalog import FieldDef, TypeDef


def compiled(**trigger: Any) -> CompiledTrigger:
    on = {"type": "shelf/Book", **trigger.pop("on", {})}
    manifest = msgspec.convert(
        {"name": "reader", "version": "1", "triggers": [{"name": "t", "on": on, "action": "read", **trigger}]}, Manifest
    )
    return compile_trigger(manifest, manifest.triggers[0])


def event(kind: Kind, *fields: str, type: str = "Book") -> StoredEvent:
    change = Change(set=dict.fromkeys(fields, 1))
    return StoredEvent(1, 0.0, Ref("shelf", type, "b1"), kind, change, "tx", 1, 1, "owner")


def seen(*fields: str) -> ViewType:
    """The type `shelf/Book` as the reader's view has it, with these fields."""
    shown = [ViewField(name.rpartition("/")[2], FieldDef(name, "String"), writable=False) for name in fields]
    by_name, by_stored = ({getattr(one, key): one for one in shown} for key in ("name", "stored"))
    return ViewType("Book", TypeDef("shelf/Book"), False, False, by_name, by_stored)


BOOK = seen("title", "pages", "face-detector/count")


def test_the_kind_must_be_one_of_those_that_are_named() -> None:
    assert compiled().matches(event(Kind.CREATED), BOOK)
    assert not compiled().matches(event(Kind.UPDATED), BOOK)
    both = compiled(on={"event": ["created", "deleted"]})
    assert both.matches(event(Kind.DELETED), BOOK)
    assert not both.matches(event(Kind.UPDATED), BOOK)
    assert not compiled().matches(event(Kind.CREATED, type="Shelf"), BOOK)


def test_an_update_must_touch_a_named_field_and_a_creation_need_not() -> None:
    wanted = compiled(on={"event": ["created", "updated"], "fields": ["title", "face-detector/count"]})
    assert wanted.matches(event(Kind.UPDATED, "pages", "title"), BOOK)
    assert wanted.matches(event(Kind.UPDATED, "face-detector/count"), BOOK)
    assert not wanted.matches(event(Kind.UPDATED, "pages"), BOOK)
    assert wanted.matches(event(Kind.CREATED, "pages"), BOOK)


def test_fields_that_the_view_hides_do_not_count() -> None:
    by_field = compiled(on={"event": "updated", "fields": ["face-detector/count", "count"]})
    any_field = compiled(on={"event": "updated"})
    hidden = event(Kind.UPDATED, "face-detector/count")
    assert by_field.matches(hidden, BOOK) and any_field.matches(hidden, BOOK)
    assert not by_field.matches(hidden, seen("title")) and not any_field.matches(hidden, seen("title"))
    assert any_field.matches(event(Kind.UPDATED, "face-detector/count", "title"), seen("title"))


@pytest.mark.parametrize(
    ("action", "target", "label"),
    [
        ("read", "reader/read", ("reader", "read")),
        ("shelf/dust", "shelf/dust", ("shelf", "dust")),
        ("role:cleaning/dust", "role:cleaning/dust", ("reader", "dust")),
    ],
)
def test_an_action_is_its_own_or_named_in_full(action: str, target: str, label: tuple[str, str]) -> None:
    found = compiled(action=action)
    assert (found.target, found.label) == (target, label)


@pytest.mark.parametrize(
    "trigger",
    [
        {"on": {"event": "deleted", "where": {"title": {"eq": "x"}}}},
        {"on": {"event": ["created", "deleted"]}, "args": {"it": "{{ node.title }}"}},
        {"args": {"it": "{{ nonsense }}"}},
        {"action": "capability:" + "x" * 43},
        {"action": "No Action"},
    ],
)
def test_a_trigger_that_can_not_work_is_refused_by_its_name(trigger: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="the trigger reader/t"):
        compiled(**trigger)
