"""Appends one transaction and finds out whether it was stored.

A refusal or a duplicate may be the echo of an attempt whose acknowledgement was lost. So before reporting a conflict,
the settler searches the entity's events after the expected version on the leader for this very transaction: all of
them, because another writer may have come after it. It reports an unknown outcome only at the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from eventstore.connection import ApiError, Connection, NoAnswer
from eventstore.message import get_message
from eventstore.publish import Ack, publish_all
from eventstore.settings import StoreSettings
from eventstore.transaction import Appended, Transaction
from eventstore.wire import Message, messages_of, position_of
from pcloud.errors import Conflict, Rejected, Unavailable
from pcloud.revision import Revision

__all__ = ["Prepared", "Settler", "prepare"]

STREAM = "GRAPH"
WRONG_SEQUENCE = 10071  # the entity has changed since
IN_FLIGHT = frozenset({10158, 10164})  # the same message, or another of its entity, is being replicated right now
DUPLICATE_IN_BATCH = 10201
# Not stored: no leader now, an incomplete batch, or too many open batches.
TRY_AGAIN = frozenset({10008, 10009, 10167, 10176, 10194, 10210})
TOO_LARGE = frozenset({10054, 10097, 10199})
# Another writer's message in replication is stored or fails within milliseconds.
IN_FLIGHT_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked transaction as messages; `size` in bytes."""

    transaction: Transaction
    messages: Sequence[Message]
    size: int


def prepare(transaction: Transaction, max_payload: int) -> Prepared:
    """Raises `Rejected` for an event that is too large for the server (which would close the connection)."""
    messages = messages_of(transaction)
    sizes = [message.size for message in messages]
    # A batch adds three headers of its own.
    if max(sizes) > max_payload - 256:
        worst = messages[sizes.index(max(sizes))]
        raise Rejected(
            f"the event of {worst.subject} has {max(sizes)} bytes, more than {max_payload - 256}: "
            "store large content in the object storage and its place in the graph"
        )
    return Prepared(transaction, messages, sum(sizes))


class Settler:
    """Finds one transaction's outcome. It has no state: any number may run at once."""

    def __init__(self, connection: Connection, epoch: str, settings: StoreSettings) -> None:
        self._connection = connection
        self._epoch = epoch
        self._settings = settings

    def appended(self, last: int, count: int, *, repeated: bool = False) -> Appended:
        """The result for `count` consecutive events that end at sequence `last`."""
        return Appended(Revision(self._epoch, last), tuple(range(last - count + 1, last + 1)), repeated)

    async def settle(self, prepared: Prepared, *, sent_before: bool = False) -> Appended:
        """Append. `sent_before`: an earlier attempt has an unknown outcome. Raises `Conflict` if an expected version
        does not hold, `Unavailable` if the log refuses for its own reasons or the outcome stays unknown."""
        clock = asyncio.get_running_loop().time
        start, wait = clock(), self._connection.patience(self._settings.append_timeout)
        unknown = sent_before
        if not unknown:
            self._connection.check_writes()
        try:
            wait.check()
        except Unavailable as silence:
            raise _unknown(prepared, silence) from silence
        while True:
            try:
                ack = await publish_all(self._connection, prepared.messages, self._settings.ack_timeout)
                return await self._acknowledged(prepared, ack)
            except NoAnswer as error:
                unknown = True
                if not await wait.again():
                    raise _unknown(prepared, error) from error
            except ApiError as error:
                soon = not (unknown or error.number in TRY_AGAIN) and clock() >= start + IN_FLIGHT_PATIENCE
                if error.number in IN_FLIGHT | TRY_AGAIN and not soon and not wait.over:
                    await asyncio.sleep(0.01)
                    continue
                return await self._refused(prepared, error, unknown=unknown)

    async def find(self, prepared: Prepared, *, after: int | None = None) -> Appended | None:
        """Search this transaction among the first entity's events after its expected version, on the leader."""
        event = prepared.transaction.events[0]
        sequence = event.expected if after is None else after
        while True:
            request = {"seq": sequence + 1, "next_by_subj": event.ref.subject}
            message = await get_message(self._connection, STREAM, request)
            if message is None:
                return None
            sequence = message.sequence
            try:
                place = position_of(message.headers)
            except (KeyError, ValueError):
                continue
            if place.tx == prepared.transaction.tx:
                return self.appended(sequence - place.ordinal + place.total, place.total, repeated=True)

    async def _acknowledged(self, prepared: Prepared, ack: Ack) -> Appended:
        if not ack.duplicate:
            return self.appended(ack.sequence, len(prepared.messages))
        # The same transaction was written before, perhaps with other events: its own header says how many.
        first = await get_message(self._connection, STREAM, {"seq": ack.sequence})
        total = position_of(first.headers).total if first is not None else 1
        return self.appended(ack.sequence - 1 + total, total, repeated=True)

    async def _refused(self, prepared: Prepared, error: ApiError, *, unknown: bool) -> Appended:
        try:
            if found := await self.find(prepared):
                return found
        except Unavailable as silence:
            raise _unknown(prepared, silence) from error
        tx = prepared.transaction.tx
        if error.number == DUPLICATE_IN_BATCH:
            # Its first copy lies before the expected version: the writer has read it without noticing.
            if found := await self.find(prepared, after=0):
                return found
            raise Conflict(f"transaction {tx} has been written before, with other events: read again") from error
        if error.number == WRONG_SEQUENCE or error.number in IN_FLIGHT:
            raise Conflict(f"an entity of transaction {tx} has changed meanwhile: read it again and repeat") from error
        if error.number in TOO_LARGE:
            raise Rejected(f"transaction {tx} is too large for the log: {error.description}") from error
        state = "whether an earlier attempt was stored is unknown" if unknown else "nothing was stored"
        raise Unavailable(f"the log does not take transaction {tx}: {error}; {state}") from error


def _unknown(prepared: Prepared, error: Exception) -> Unavailable:
    return Unavailable(
        f"whether transaction {prepared.transaction.tx} was stored is unknown: {error}; "
        "send it again with the same idempotency key"
    )
