"""Derived ids: of transactions, of entities with an `@id` field, and of entities that a run adds.

All are 32 hexadecimal digits of BLAKE2b (RFC 7693) over length-prefixed parts, so that two lists of parts never collide.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from core.access.caller import OWNER
from pcloud.errors import Rejected
from pcloud.subject import new_id

__all__ = [
    "IdSource", "check_key", "entity_id", "request_hash", "transaction_of_key", "transaction_of_run",
]  # fmt: skip

MAX_KEY = 256


def _digest(*parts: str, key: bytes = b"") -> str:
    digest = blake2b(digest_size=16, key=key)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()


def entity_id(id_key: bytes, type: str, value: Any) -> str:
    """Derive the id of the entity of `type` (stored name) whose `@id` field has this value; keyed, so an id reveals nothing about it."""
    return _digest("entity", type, str(value), key=id_key)


def check_key(key: str) -> str:
    """Return the idempotency key if it is valid. Raises `Rejected`."""
    if not key or len(key) > MAX_KEY or not key.isprintable():
        raise Rejected(f"the idempotency key must have 1 to {MAX_KEY} printable characters, this one has {len(key)}")
    return key


def transaction_of_key(actor: str, key: str, through: str = "") -> str:
    """Derive a transaction's id from a key. The same key used by another app's page, or by the person directly, is a different key."""
    # Hashed as before people had ids, so that a request repeated after that change is still recognised.
    who = actor if actor != OWNER.actor else OWNER.name
    return _digest("key", f"{who} as {through}" if through else who, check_key(key))


def transaction_of_run(run: str, generation: int, ordinal: int, request: str) -> str:
    """`request`: hash of the request. A handler's second attempt may make a different write at the same ordinal (it finds what the
    first one left, or reads the time again). That is not a misuse of a key: the write is done, and finds the first one's entities."""
    return _digest("run", run, str(generation), str(ordinal), request)


def request_hash(request: Any) -> str:
    """Distinguish two requests that came with the same key. `request`: anything that JSON can hold."""
    return blake2b(msgspec.json.encode(request, order="sorted"), digest_size=16).hexdigest()


class IdSource:
    """Gives ids to new entities of one transaction, and the same ids when the transaction is tried again.

    `seed` parts: the run and its write's ordinal (without the replay's generation, so that a replay finds its own work), or the
    transaction of a keyed request (so that a second one collides on the log even before the graph knows the first). Without parts: random.
    """

    def __init__(self, *seed: str) -> None:
        self._seed = seed
        self._given = 0

    @property
    def random(self) -> bool:
        """True if each id is random, and so cannot have been given before."""
        return not self._seed

    def next(self, type: str) -> str:
        if not self._seed:
            return new_id()
        self._given += 1
        return _digest("new", *self._seed, type, str(self._given))
