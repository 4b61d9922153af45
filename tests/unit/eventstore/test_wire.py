"""The form of an event on the log, and how old events are read."""

from __future__ import annotations

import pytest

from eventstore.transaction import Transaction
from eventstore.wire import digest, event_from_wire, messages_of
from pcloud.errors import Rejected
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref

EVENT = Event(Ref("notes", "Note", "n"), Kind.CREATED, Change(set={"text": "hello"}))
OLD = {"Pcloud-Kind": "created", "Pcloud-Tx": f"{'a' * 32} 1/1", "Pcloud-Actor": "owner", "Nats-Msg-Id": "x.1"}


def test_through_app_is_read_back_from_the_log() -> None:
    for through in ("", "photos"):
        [message] = messages_of(Transaction("a" * 32, (EVENT,), "person:owner", through=through))
        assert ("Pcloud-Through" in message.headers) == bool(through)
        event = event_from_wire(1, 0.0, message.subject, message.headers, message.body)
        assert (event.actor, event.through) == ("person:owner", through)


def test_old_event_without_person_id_is_read_as_the_owners() -> None:
    """Its digest stays the same, so that old checkpoints stay valid."""
    event = event_from_wire(1, 0.0, "graph.notes.Note.n", OLD, b'{"v":1}')
    assert (event.actor, event.through) == ("person:owner", "")
    assert event.digest == digest(1, "graph.notes.Note.n", OLD, b'{"v":1}')
    assert (
        event_from_wire(1, 0.0, "graph.notes.Note.n", {**OLD, "Pcloud-Actor": "app:owner"}, b'{"v":1}').actor
        == "app:owner"
    )


def test_app_name_that_is_not_a_header_value_is_refused() -> None:
    with pytest.raises(Rejected, match="through"):
        Transaction("a" * 32, (EVENT,), "person:owner", through="photos\r\nPcloud-Actor: person:owner")
