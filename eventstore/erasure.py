"""Erasure: removes an entity's events from the log once its `forgotten` event is stored.

The key-value bucket FORGETTING notes what is being forgotten: the note is written before and deleted after. So if a
node dies between the event and the purge, it or another node finds the remaining work. A purge removes the events
*below* the `forgotten` event: without that event, a late retry could bring the entity back. The bytes stay in the log's
files until the server compacts them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from eventstore.connection import ApiError, Connection
from eventstore.message import get_message
from eventstore.publish import publish
from eventstore.retry import until_answered
from eventstore.wire import Message, event_or_blank
from pcloud.errors import Unavailable
from pcloud.event import StoredEvent
from pcloud.subject import Ref, check_id, graph_subjects

__all__ = ["Erasure", "Pending"]

STREAM = "GRAPH"
NOTES = "KV_FORGETTING"
PAGE = 100_000  # subjects that the server lists at once


class Pending(NamedTuple):
    """A note: the entities to forget, and when (seconds since 1970) that began."""

    id: str
    refs: tuple[Ref, ...]
    time: float


class Erasure:
    """Available as `EventStore.erasure`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- the log -----------------------------------------------------------------------------------------------------

    async def events(self, ref: Ref) -> list[StoredEvent]:
        """All events of one entity, oldest first, as stored by the leader."""
        found: list[StoredEvent] = []
        while True:
            after = found[-1].sequence if found else 0
            message = await get_message(self._connection, STREAM, {"seq": after + 1, "next_by_subj": ref.subject})
            if message is None:
                return found
            found.append(event_or_blank(*message))

    async def entities(self, app: str) -> AsyncGenerator[Ref, None]:
        """Every entity of the app's types with an event on the log, whether or not it still exists."""
        offset = 0
        while True:
            request = {"subjects_filter": graph_subjects(app), "offset": offset}
            state = (await self._connection.api(f"STREAM.INFO.{STREAM}", request))["state"]
            subjects = sorted(state.get("subjects") or {})
            for subject in subjects:
                with suppress(ValueError):  # put there by hand
                    yield Ref.of_subject(subject)
            offset += len(subjects)
            if len(subjects) < PAGE:
                return

    async def purge(self, ref: Ref, below: int) -> int:
        """Remove the entity's events with a sequence lower than `below` from the log and return their number."""
        return await self._purge(STREAM, {"filter": ref.subject, "seq": below})

    # --- in progress --------------------------------------------------------------------------------------------------

    async def begin(self, id: str, refs: Sequence[Ref]) -> None:
        """Note that these entities are being forgotten, until `done`."""
        body = msgspec.json.encode([str(ref) for ref in refs])
        message = Message(_note(id), {}, body)
        try:
            await until_answered(self._connection, lambda: publish(self._connection, message, 5.0), f"the note {id}")
        except ApiError as error:
            raise Unavailable(f"the erasure can't be noted: {error}; nothing was forgotten") from error

    async def pending(self) -> list[Pending]:
        """Erasures that were begun and not finished, oldest first."""
        found: list[Pending] = []
        sequence = 0
        while True:
            request = {"seq": sequence + 1, "next_by_subj": _note(">")}
            note = await get_message(self._connection, NOTES, request)
            if note is None:
                return found
            sequence = note.sequence
            refs = tuple(Ref.parse(text) for text in msgspec.json.decode(note.body, type=list[str]))
            found.append(Pending(note.subject.removeprefix(_note("")), refs, note.time))

    async def done(self, id: str) -> None:
        await self._purge(NOTES, {"filter": _note(check_id(id))})

    async def _purge(self, stream: str, request: dict[str, str | int]) -> int:
        try:
            return int((await self._connection.api(f"STREAM.PURGE.{stream}", request)).get("purged", 0))
        except ApiError as error:
            raise Unavailable(f"{request['filter']} can't be purged from {stream}: {error}: try again") from error


def _note(id: str) -> str:
    return f"$KV.FORGETTING.{id}"
