"""Every event survives the wire, whatever its content."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventstore import Transaction
from eventstore.wire import digest, event_from_wire, messages_of, parse_headers
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]))
ids = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
changes = st.builds(
    Change,
    set=st.dictionaries(words, scalars, max_size=4),
    unset=st.lists(words, max_size=2),
    link=st.dictionaries(words, st.lists(ids, min_size=1, max_size=3), max_size=2),
)
events = st.builds(
    Event,
    ref=st.builds(Ref, st.just("image-importer"), st.just("Image"), ids),
    kind=st.sampled_from(Kind),
    change=changes,
    expected=st.integers(0, 2**40),
)
transactions = st.builds(
    Transaction,
    tx=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    events=st.lists(events, min_size=1, max_size=4, unique_by=lambda event: event.ref).map(tuple),
    actor=words.filter(bool),
    cause=words,
    depth=st.integers(0, 50),
    request=words,
    result=st.dictionaries(words, st.lists(words, max_size=3), max_size=3),
)


@given(transactions)
def test_what_is_written_is_read(transaction):
    for ordinal, (event, message) in enumerate(zip(transaction.events, messages_of(transaction), strict=True), 1):
        raw = (
            b"NATS/1.0\r\n"
            + b"".join(f"{name}: {value}\r\n".encode() for name, value in message.headers.items())
            + b"\r\n"
        )
        assert len(raw) + len(message.body) == message.size
        headers = parse_headers(raw)
        read = event_from_wire(7, 1.5, message.subject, headers, message.body)
        assert (read.ref, read.kind, read.change) == (event.ref, event.kind, event.change)
        assert (read.tx, read.ordinal, read.total) == (transaction.tx, ordinal, len(transaction.events))
        assert (read.actor, read.cause, read.depth) == (transaction.actor, transaction.cause, transaction.depth)
        if ordinal == 1:
            assert (read.request, dict(read.result)) == (transaction.request, dict(transaction.result))
        assert read.digest == digest(7, message.subject, message.headers, message.body)


@given(transactions, st.integers(0, 2**40))
def test_the_digest_does_not_depend_on_how_it_was_published(transaction, version):
    message = messages_of(transaction)[0]
    published = message.headers | {
        "Nats-Expected-Last-Subject-Sequence": str(version), "Nats-Batch-Id": "x", "traceparent": "y",
    }  # fmt: skip
    assert digest(1, message.subject, published, message.body) == digest(
        1, message.subject, message.headers, message.body
    )
