"""Ids that are derived instead of drawn: of transactions, of entities with an `@id` field, and of what a run adds.

All are 32 hexadecimal digits of BLAKE2b (RFC 7693) over length-prefixed parts, so no two lists of parts run together.
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
    """The id of the entity of `type` (stored name) whose `@id` field has this value; keyed, so an id tells nothing about it."""
    return _digest("entity", type, str(value), key=id_key)


def check_key(key: str) -> str:
    """Return an idempotency key that may be one; raises `Rejected`."""
    if not key or len(key) > MAX_KEY or not key.isprintable():
        raise Rejected(f"the idempotency key must have 1 to {MAX_KEY} printable characters, this one has {len(key)}")
    return key


def transaction_of_key(actor: str, key: str, through: str = "") -> str:
    """A key that one app's page has used says nothing to another's, nor to the person's own."""
    # Hashed as before people had ids, so that a request is known which is repeated after that.
    who = actor if actor != OWNER.actor else OWNER.name
    return _digest("key", f"{who} as {through}" if through else who, check_key(key))


def transaction_of_run(run: str, generation: int, ordinal: int, request: str) -> str:
    """`request`: hash of what is asked. A second attempt of a handler may come to another write at the same ordinal (it finds what
    the first one left, or takes the time anew). That is no misuse of a key: it is done, and finds the first one's entities."""
    return _digest("run", run, str(generation), str(ordinal), request)


def request_hash(request: Any) -> str:
    """Tells two requests apart that came with the same key. `request`: anything JSON can hold."""
    return blake2b(msgspec.json.encode(request, order="sorted"), digest_size=16).hexdigest()


class IdSource:
    """Ids of new entities of one transaction, the same again when the transaction is tried again.

    `seed` parts: the run and its write's ordinal (without the replay's generation, so that a replay finds its own work), or the
    transaction of a keyed request (so that a second one collides on the log even where no view knows the first yet); none: random.
    """

    def __init__(self, *seed: str) -> None:
        self._seed = seed
        self._given = 0

    @property
    def random(self) -> bool:
        """Whether no id that is given can have been given before."""
        return not self._seed

    def next(self, type: str) -> str:
        if not self._seed:
            return new_id()
        self._given += 1
        return _digest("new", *self._seed, type, str(self._given))
