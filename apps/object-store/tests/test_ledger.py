"""The fold that decides what is announced, for any order and any repetition of the stream and the walks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from object_store.ledger import Bucket, Credential, Ledger
from object_store.metadata import Change, Created, Deleted

from pcloud.errors import Corrupt

KEYS = ["a", "b", "a/b"]


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """What happened in the bucket, one change per nanosecond, a second being ten of them."""
    steps = draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(["e1", "e2", ""])), max_size=12))
    return [
        Created("images", key, etag, 1, at // 10, at) if etag else Deleted("images", key, at)
        for at, (key, etag) in enumerate(steps, 10)
    ]


def there(history: list[Change]) -> dict[str, Created]:
    found = dict[str, Created]()
    for change in history:
        if isinstance(change, Created):
            found[change.key] = change
        else:
            found.pop(change.key, None)
    return found


def open_ledger() -> Ledger:
    ledger = Ledger(Path(":memory:"))
    ledger.add_bucket(Bucket("images", "app:photos", "capability:abc"))
    return ledger


def walk(ledger: Ledger, history: list[Change], at: int) -> None:
    ledger.begin_listing()
    ledger.list_page(there(history).values())
    ledger.end_listing("images", at)


def tell(ledger: Ledger, told: list[tuple[str, str]]) -> None:
    for notification in ledger.waiting("images", 100):
        told.append((notification.key, notification.etag))
        ledger.sent(notification)


@given(histories(), st.data())
def test_every_stored_object_is_announced_in_the_end(history: list[Change], data: st.DataObject) -> None:
    """The stream in any batches, sent or not in between, with a jump back to an earlier time and a walk at the end of the hole."""
    with open_ledger() as ledger:
        told = list[tuple[str, str]]()
        seen = data.draw(st.integers(0, len(history)))
        ledger.record(history[:seen], 1)
        if data.draw(st.booleans()):
            tell(ledger, told)
        walk(
            ledger, history, 10 + len(history)
        )  # weed died: its newest messages are lost, or come again from a checkpoint
        if data.draw(st.booleans()):
            tell(ledger, told)
        ledger.record(history[data.draw(st.integers(0, len(history))) :], 2)
        tell(ledger, told)
        assert {(key, created.etag) for key, created in there(history).items()} <= set(told)


@given(histories(), st.data())
def test_a_repeated_change_is_not_announced_again(history: list[Change], data: st.DataObject) -> None:
    with open_ledger() as ledger:
        first, again = list[tuple[str, str]](), list[tuple[str, str]]()
        ledger.record(history, 1)
        tell(ledger, first)
        for _ in range(2):
            ledger.record(history[data.draw(st.integers(0, len(history))) :], 1)
            walk(ledger, history, 10 + len(history))
        tell(ledger, again)
        assert not again and len(first) == len(set(first))


def test_a_deleted_object_is_not_announced_and_a_returned_one_is() -> None:
    with open_ledger() as ledger:
        ledger.record([Created("images", "a", "e", 1, 1, 10), Deleted("images", "a", 11)])
        assert not ledger.waiting("images", 10)
        ledger.record([Created("images", "a", "e", 1, 2, 12)])
        (waiting,) = ledger.waiting("images", 10)
        assert waiting.modified == 2


def test_a_replaced_object_is_announced_after_its_predecessor_was() -> None:
    with open_ledger() as ledger:
        ledger.record([Created("images", "a", "e1", 1, 1, 10)])
        (flying,) = ledger.waiting("images", 10)
        ledger.record([Created("images", "a", "e2", 1, 1, 11)])
        ledger.sent(flying)
        assert [n.etag for n in ledger.waiting("images", 10)] == ["e2"]


def test_changes_and_checkpoint_are_one(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.add_bucket(Bucket("images", "app:photos", "capability:abc"))
        with pytest.raises(Exception, match=r"."):
            ledger.record([Created("images", "a", "e", 1, 1, 10), object()], 99)  # type: ignore[list-item]
        assert ledger.checkpoint() == 0 and not ledger.waiting("images", 10)
        ledger.record([], 99)
        ledger.record([], 50)
        assert ledger.checkpoint() == 99


def test_the_first_owner_stays(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.add_bucket(Bucket("images", "app:photos", "capability:abc"))
        assert ledger.add_bucket(Bucket("images", "app:other", "capability:evil")).owner == "app:photos"
        assert ledger.add_bucket(Bucket("images", "app:photos")).webhook == "capability:abc"


def test_a_broken_ledger_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"not a database" * 1000)
    with pytest.raises(Corrupt, match="can't be read"):
        Ledger(tmp_path / "ledger")


def test_an_older_ledger_learns_to_retry(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger") as old:
        old.executescript(BEFORE)
    with Ledger(tmp_path / "ledger") as ledger:
        (waiting,) = ledger.waiting("images", 10)
        ledger.failed(waiting, 100)
        assert not ledger.waiting("images", 10) and not ledger.failed_before("images", 99, 10)
        assert [n.tries for n in ledger.failed_before("images", 100, 10)] == [1] and ledger.next_due(
            "images", 99
        ) == 100


def test_what_failed_is_due_at_the_next_start_and_other_bytes_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.add_bucket(Bucket("images", "app:photos", "capability:abc"))
        ledger.record([Created("images", key, "e", 1, 1, 10) for key in ("a", "b")])
        for notification in ledger.waiting("images", 10):
            ledger.failed(notification, 2**40)
        ledger.record([Created("images", "a", "other", 1, 2, 11)])
        assert [(n.key, n.tries) for n in ledger.waiting("images", 10)] == [("a", 0)]
    with Ledger(tmp_path / "ledger") as ledger:
        assert [(n.key, n.tries) for n in ledger.failed_before("images", 1, 10)] == [("b", 1)]


BEFORE = """
CREATE TABLE bucket (name TEXT PRIMARY KEY, owner TEXT NOT NULL, webhook TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE object (bucket TEXT NOT NULL, key TEXT NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
    modified INTEGER NOT NULL, seen INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (bucket, key)) STRICT, WITHOUT ROWID;
CREATE INDEX waiting ON object (bucket) WHERE sent = 0 AND gone = 0;
INSERT INTO bucket VALUES ('images', 'app:photos', 'capability:abc');
INSERT INTO object VALUES ('images', 'a', 'e', 1, 1, 10, 0, 0), ('images', 'told', 'e', 1, 1, 10, 0, 1);
"""


def test_the_owners_buckets_from_before_ids_stay_the_owners(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.add_bucket(Bucket("images", "owner"))
        ledger.add_bucket(Bucket("thumbnails", "app:owner"))
        ledger.begin_credential(Credential("KEY", "phone", "images", "", True, "owner"))
        ledger.hold_credential("KEY")
    for _ in range(2):
        with Ledger(tmp_path / "ledger.db") as ledger:
            assert [bucket.owner for bucket in ledger.buckets()] == ["person:owner", "app:owner"]
            known = ledger.credential("KEY")
            assert known is not None and (known.issuer, known.holder) == ("person:owner", "person:owner")


def test_what_waits_is_counted_by_bucket_and_owner() -> None:
    with open_ledger() as ledger:
        ledger.add_bucket(Bucket("quiet", "app:diary"))
        ledger.record([Created(bucket, f"{n}", "e", 1, 1, 10) for bucket in ("images", "quiet") for n in range(3)])
        assert ledger.count_waiting() == [(Bucket("images", "app:photos", "capability:abc"), 3)]
        first, second, _ = ledger.waiting("images", 3)
        ledger.sent(first)
        ledger.failed(second, 10**10)  # waits for another attempt
        ledger.record([Deleted("images", "2", 11)])
        assert ledger.count_waiting() == [(Bucket("images", "app:photos", "capability:abc"), 1)]
        ledger.sent(second)
        assert ledger.count_waiting() == []
