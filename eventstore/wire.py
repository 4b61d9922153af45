"""How an event looks on NATS: its headers, its body, its digest. Plain functions; `nats stream view GRAPH` shows what
they write.

graph.image-importer.Image.ID
  Pcloud-Kind: created                     created, updated, deleted or forgotten
  Pcloud-Tx: <32 hex digits> 1/2           transaction, which of its events, of how many
  Pcloud-Actor: person:owner               person:<id>, device:<id> or app:<name>; once it was owner for person:owner
  Pcloud-Through: photos                   the app through which a person or device acted; left out when empty
  Pcloud-Cause: <run or transaction>       left out when empty
  Pcloud-Depth: 1                          causes so far; left out when 0
  Pcloud-Request, Pcloud-Result            on the first event: hash of the request, JSON of its answer
  Nats-Msg-Id: <transaction>.1
  Nats-Expected-Last-Subject-Sequence: 0   version that the writer saw; checked by the server
  traceparent: ...                         W3C trace context; left out when empty
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from eventstore.transaction import Transaction
from pcloud.errors import Corrupt
from pcloud.event import Change, Event, Kind, StoredEvent, decode_change, encode_change
from pcloud.subject import Ref
from pcloud.upcast import CURRENT_VERSION, upcast_actor

__all__ = [
    "Message",
    "Position",
    "digest",
    "event_from_wire",
    "event_or_blank",
    "messages_of",
    "parse_headers",
    "position_of",
]

log = logging.getLogger(__name__)

KIND = "Pcloud-Kind"
TX = "Pcloud-Tx"
ACTOR = "Pcloud-Actor"
THROUGH = "Pcloud-Through"
CAUSE = "Pcloud-Cause"
DEPTH = "Pcloud-Depth"
REQUEST = "Pcloud-Request"
RESULT = "Pcloud-Result"
TRACE = "traceparent"
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"

_KINDS = {kind.value: kind for kind in Kind}
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class Message(NamedTuple):
    """One message to publish."""

    subject: str
    headers: dict[str, str]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes that count against the server's payload limit: the encoded headers and the body."""
        lines = sum(len(name) + len(value.encode()) + 4 for name, value in self.headers.items())
        return len(b"NATS/1.0\r\n\r\n") + lines + len(self.body)


class Position(NamedTuple):
    """A transaction as its header describes it: `ordinal` (from 1) of `total`."""

    tx: str
    ordinal: int
    total: int


def messages_of(transaction: Transaction) -> list[Message]:
    """The transaction's messages, in order, without the batch's own headers."""
    total = len(transaction.events)
    return [
        Message(event.ref.subject, _headers(transaction, event, ordinal, total), encode_change(event.change))
        for ordinal, event in enumerate(transaction.events, 1)
    ]


def _headers(transaction: Transaction, event: Event, ordinal: int, total: int) -> dict[str, str]:
    headers = {
        KIND: str(event.kind),
        TX: f"{transaction.tx} {ordinal}/{total}",
        ACTOR: transaction.actor,
        MESSAGE_ID: f"{transaction.tx}.{ordinal}",
        EXPECTED: str(event.expected),
    }
    if transaction.through:
        headers[THROUGH] = transaction.through
    if transaction.cause:
        headers[CAUSE] = transaction.cause
    if transaction.depth:
        headers[DEPTH] = str(transaction.depth)
    if transaction.traceparent:
        headers[TRACE] = transaction.traceparent
    if ordinal == 1 and transaction.request:
        headers[REQUEST] = transaction.request
    if ordinal == 1 and transaction.result:
        headers[RESULT] = _encode(transaction.result).decode()
    return headers


def event_from_wire(
    sequence: int, time: float, subject: str, headers: Mapping[str, str] | None, body: bytes, *, digested: bool = True
) -> StoredEvent:
    """Read one message of GRAPH; raises `Corrupt` for one that PCloud did not write. `digested`: include the digest and
    the size; projections need them, other readers save the time."""
    headers = headers or {}
    try:
        ref = Ref.of_subject(subject)
        tx, ordinal, total = position_of(headers)
        result = headers.get(RESULT)
        image = _image(sequence, subject, headers, body) if digested else b""
        return StoredEvent(  # positional: keyword arguments take longer, and there are millions of events
            sequence, time, ref, _KINDS[headers[KIND]], decode_change(body),
            tx, ordinal, total,
            upcast_actor(headers[ACTOR]), headers.get(THROUGH, ""),
            headers.get(CAUSE, ""), int(headers.get(DEPTH, "0")),
            headers.get(REQUEST, ""), _decode_object(result) if result else {},
            headers.get(TRACE, ""),
            _sum(image) if digested else 0, len(image),
        )  # fmt: skip
    except (Corrupt, KeyError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise Corrupt(f"message {sequence} of GRAPH ({subject}) is not an event of PCloud: {error!r}") from error


def event_or_blank(
    sequence: int, time: float, subject: str, headers: Mapping[str, str] | None, body: bytes, *, digested: bool = True
) -> StoredEvent:
    """Like `event_from_wire`, but returns an event that changes nothing for a message that PCloud did not write. Raises
    `Corrupt` only for a message of a newer PCloud: skipping it would lose it.

    With the log's own credentials, anything can be published, and a message can't be removed again. So a foreign
    message must stop neither projections nor triggers. It counts as its entity's last event, because the server compares
    expected versions with it.
    """
    try:
        return event_from_wire(sequence, time, subject, headers, body, digested=digested)
    except Corrupt as error:
        if TX in (headers or {}) and _is_newer(body):
            raise
        log.error("%s; it is passed over", error)
    try:
        ref = Ref.of_subject(subject)
    except ValueError:
        ref = Ref("", "", "")
    image = _image(sequence, subject, headers or {}, body) if digested else b""
    return StoredEvent(
        sequence=sequence,
        time=time,
        ref=ref,
        kind=Kind.UPDATED,
        change=Change(),
        tx=f"{sequence:032x}",
        ordinal=1,
        total=1,
        actor="",
        digest=_sum(image) if digested else 0,
        size=len(image),
    )


def _is_newer(body: bytes) -> bool:
    try:
        return int(_decode_object(body).get("v", 0)) > CURRENT_VERSION
    except (msgspec.MsgspecError, RecursionError, TypeError, ValueError):
        return False


def position_of(headers: Mapping[str, str]) -> Position:
    """Raises `KeyError` or `ValueError` for headers without a position."""
    tx, _, place = headers[TX].partition(" ")
    ordinal, _, total = place.partition("/")
    return Position(tx, int(ordinal), int(total))


def digest(sequence: int, subject: str, headers: Mapping[str, str], body: bytes) -> int:
    """SHA-256 over sequence, subject, the headers that belong to the event (sorted by name) and body, as an integer.

    Headers of a single publish are left out (expected version, batch, trace), because a restore writes the same event
    with others.
    """
    return _sum(_image(sequence, subject, headers, body))


def _sum(image: bytes) -> int:
    return int.from_bytes(hashlib.sha256(image).digest(), "big")


def _image(sequence: int, subject: str, headers: Mapping[str, str], body: bytes) -> bytes:
    head = f"{sequence}\n{subject}\n"
    for name in _digested(tuple(headers)):
        head += f"{name}:{headers[name]}\n"
    return f"{head}\n".encode() + body


@lru_cache(256)
def _digested(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in sorted(names) if name.startswith("Pcloud-") or name == MESSAGE_ID)


def parse_headers(raw: bytes) -> dict[str, str]:
    """The headers of a message as JetStream's `MSG.GET` returns them: `NATS/1.0`, then one `Name: value` per line."""
    headers: dict[str, str] = {}
    for line in raw.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.decode("utf-8", "replace").strip()] = value.decode("utf-8", "replace").strip()
    return headers
