"""Events: the change of one entity, on the log and in memory.

A published event is never edited. Its body carries a version `v`; `pcloud.upcast` converts older bodies when they are
read. Everything besides the change itself (who, why, which transaction) travels in headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from pcloud.errors import Corrupt
from pcloud.subject import Ref
from pcloud.upcast import CURRENT_VERSION, upcast

__all__ = ["Change", "Event", "Kind", "Purged", "StoredEvent", "decode_change", "encode_change"]


class Kind(StrEnum):
    """What happened to the entity."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    FORGOTTEN = "forgotten"


class Purged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a `forgotten` event replaces: the entity's earlier events, which are purged from the log once it is stored.
    With it, a purged log folds to the same result as before.

    `events`: sequence and digest (64 hexadecimal digits) of each. `transactions`: for each transaction that they were
    part of, its id, the hash of the request, its last sequence and its time (seconds since 1970). `released`: by
    one-to-one relation field, the targets that the entity's links took from others and that no other entity has taken
    since. `written`: by the app that is charged for them, sequence and `StoredEvent.size` of the events that no earlier
    `forgotten` event has named.
    """

    events: list[tuple[int, str]] = []
    transactions: list[tuple[str, str, int, float]] = []
    released: dict[str, list[str]] = {}
    written: dict[str, list[tuple[int, int]]] = {}


class Change(msgspec.Struct, frozen=True, omit_defaults=True, tag=False):
    """The change of one entity. Field names are stored names: `title`, or `face-detector/faceCount` for a field that
    another app added.

    `set`: scalar (or list of scalars) by field. `unset`: fields whose value is removed. `link` / `unlink`: ids by
    relation field; `link` on a to-one relation replaces the earlier link. `purged`: only on a `forgotten` event.
    """

    set: dict[str, Any] = {}
    unset: list[str] = []
    link: dict[str, list[str]] = {}
    unlink: dict[str, list[str]] = {}
    purged: Purged | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.set or self.unset or self.link or self.unlink)

    @property
    def fields(self) -> frozenset[str]:
        """The stored names of all fields that this change touches."""
        return frozenset((*self.set, *self.unset, *self.link, *self.unlink))


_encoder = msgspec.json.Encoder()
_decode_current = msgspec.json.Decoder(Change).decode
_CURRENT = b'{"v":%d,' % CURRENT_VERSION


def encode_change(change: Change) -> bytes:
    """Encode the event's body: JSON, with the version first."""
    body: dict[str, Any] = {"v": CURRENT_VERSION}
    for name in ("set", "unset", "link", "unlink", "purged"):
        if value := getattr(change, name):
            body[name] = value
    return _encoder.encode(body)


def decode_change(body: bytes) -> Change:
    """Read a body of any version; raises `Corrupt` for bytes that are not a valid body."""
    if body.startswith(_CURRENT):  # begins as `encode_change` writes it: decode in one step, as for nearly all bodies
        with suppress(msgspec.MsgspecError):
            return _decode_current(body)
    try:
        raw = msgspec.json.decode(body)
        return msgspec.convert(upcast(raw), Change)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise Corrupt(f"an event's body can't be read: {error}; body begins {body[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one entity, as a member of a transaction, before or after it is stored.

    `expected` is the version (stream sequence of the entity's last event; 0: never existed) that the writer saw. It is
    a header of the published message, not part of the stored event.
    """

    ref: Ref
    kind: Kind
    change: Change = field(default_factory=Change)
    expected: int = 0


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as read from the log.

    `sequence`: stream sequence. `time`: seconds since 1970, by the server. `tx`, `ordinal` (from 1), `total`: its
    transaction. `actor`: `person:<id>`, `device:<id>` or `app:<name>`; `through`: the app through which a person or
    device acted, or ''. `digest`: SHA-256 over sequence, subject, headers and body, as an integer; a log's running hash
    is the sum of its digests modulo 2**256. `size`: bytes of the digested data, which count against an app's quota.
    """

    sequence: int
    time: float
    ref: Ref
    kind: Kind
    change: Change
    tx: str
    ordinal: int
    total: int
    actor: str
    through: str = ""
    cause: str = ""
    depth: int = 0
    request: str = ""
    result: Mapping[str, Any] = {}
    traceparent: str = ""
    digest: int = 0
    size: int = 0

    @property
    def charged(self) -> str:
        """The app whose quota the event counts against, also if a person or device wrote through it; '' without an
        app."""
        if self.through:
            return self.through
        kind, _, name = self.actor.partition(":")
        return name if kind == "app" and name != "core" else ""

    @property
    def ends_transaction(self) -> bool:
        return self.ordinal == self.total
