"""The log as everybody sees it: append a transaction, read, follow, and the streams beside it.

async with open_server(ServerSettings(folder)) as server:
    async with open_store(ConnectionSettings(server.url, server.core)) as store:
        appended = await store.append(transaction)
        async for batch in store.follow(after=0): ...
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from nats.aio.client import Client
from nats.js.client import JetStreamContext

from eventstore.archives import Archives
from eventstore.audit import audit_range, audit_records, record_audit
from eventstore.commit import Committer
from eventstore.connection import Connection, open_connection
from eventstore.consumer import DurableConsumer, consumer_config, ensure_consumer
from eventstore.erasure import Erasure
from eventstore.follow import follow, read
from eventstore.message import get_message
from eventstore.outcome import Settler, prepare
from eventstore.pull import Delivered
from eventstore.runs import RunLog
from eventstore.settings import ConnectionSettings, StoreSettings
from eventstore.topology import LogIdentity, ensure_streams
from eventstore.transaction import Appended, Transaction
from eventstore.trigger import EventConsumer, EventDelivery
from eventstore.wire import GRAPH_SUBJECTS, event_or_blank
from eventstore.work import WorkQueue
from pcloud.event import StoredEvent
from pcloud.subject import Ref

__all__ = ["EventStore", "EventStoreReader", "open_store"]

STREAM = "GRAPH"


class EventStoreReader(Protocol):
    """What a projection needs of the log. Sequences count from 1; events come in their order, each once. A message that is
    no event of PCloud's comes as one that changes nothing."""

    @property
    def epoch(self) -> str: ...

    async def last_sequence(self) -> int: ...

    def follow(self, after: int, *, subjects: Sequence[str] = ...) -> AsyncGenerator[list[StoredEvent], None]: ...

    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncGenerator[StoredEvent, None]: ...


@asynccontextmanager
async def open_store(
    connection: ConnectionSettings, *, replicas: int | None = None, settings: StoreSettings | None = None
) -> AsyncGenerator[EventStore]:
    """Connect, make or update the streams, and close after what is under way. Raises `Unavailable`."""
    settings = settings or StoreSettings()
    if replicas is not None:
        settings = replace(settings, replicas=replicas)
    async with open_connection(connection) as opened:
        store = EventStore(opened, await ensure_streams(opened, settings), settings)
        try:
            yield store
        finally:
            await store.close()


class EventStore:
    """Made by `open_store`. Any task may use it at any time."""

    def __init__(self, connection: Connection, identity: LogIdentity, settings: StoreSettings) -> None:
        self._connection = connection
        self._committer = Committer(connection, Settler(connection, identity.epoch, settings), settings)
        self.epoch = identity.epoch
        self.id_key = identity.id_key
        self.nats: Client = connection.client
        self.js: JetStreamContext = connection.client.jetstream()  # pyright: ignore[reportUnknownMemberType]
        self._admit: Callable[[], None] = _everything
        self.work = WorkQueue(connection, self.admit)
        self.runs = RunLog(connection)
        self.erasure = Erasure(connection)
        self.archives = Archives(connection, self.admit)

    def admit_when(self, check: Callable[[], None]) -> None:
        """Have `check` asked before a transaction or a durable call is stored. It raises `Unavailable` when there is no room;
        what is under way goes on."""
        self._admit = check

    def admit(self) -> None:
        """Raises `Unavailable` while nothing new is to be stored."""
        self._admit()

    async def append(self, transaction: Transaction) -> Appended:
        """Store all of its events, or none. Raises `Conflict` when an entity's version is not the expected one any
        more, `Rejected` for what is too large, `Unavailable` when the log is not there (the message says whether it is
        unknown if it was stored: then send the same transaction again)."""
        self.admit()
        return await self._committer.append(prepare(transaction, self._connection.max_payload))

    async def last_sequence(self) -> int:
        """Sequence of the newest event, as the leader has it; 0 for an empty log."""
        return int((await self._connection.api(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"])

    async def follow(
        self, after: int, *, subjects: Sequence[str] = (GRAPH_SUBJECTS,)
    ) -> AsyncGenerator[list[StoredEvent], None]:
        """Events after sequence `after`: what is there, at most 500 at once, then what comes. Never ends by itself."""
        async with aclosing(follow(self._connection, STREAM, after, subjects)) as batches:
            async for batch in batches:
                yield [_event(message) for message in batch]

    async def read(
        self, first: int, last: int, *, subjects: Sequence[str] = (GRAPH_SUBJECTS,)
    ) -> AsyncGenerator[StoredEvent, None]:
        """Events from sequence `first` to `last`, both included; ends at the log's end when that comes first."""
        async with aclosing(read(self._connection, STREAM, first, last, subjects)) as messages:
            async for message in messages:
                yield _event(message)

    async def last_event(self, ref: Ref) -> StoredEvent | None:
        """The entity's newest event, as the leader has it."""
        found = await get_message(self._connection, STREAM, {"last_by_subj": ref.subject})
        return found and event_or_blank(found.sequence, found.time, found.subject, found.headers, found.body)

    async def sequence_at(self, time: float) -> int:
        """The first sequence at or after `time` (seconds since 1970); one after the last for a time beyond."""
        start = datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
        found = await get_message(self._connection, STREAM, {"start_time": start, "next_by_subj": GRAPH_SUBJECTS})
        return found.sequence if found is not None else await self.last_sequence() + 1

    async def consumer(
        self, name: str, *, subjects: Sequence[str], start: str | int = "new", ack_wait: float = 30.0,
        max_ack_pending: int = 256, paused: bool = False, metadata: Mapping[str, str] | None = None,
        description: str = "",
    ) -> EventConsumer:  # fmt: skip
        """A durable consumer of events, made or found. `start`: 'new', 'all' or a sequence, and `paused`, hold for a
        new one only; one that exists keeps its place. Only one that started at 'all' can be reset to anywhere."""
        config = consumer_config(
            name, subjects, start, ack_wait=ack_wait, max_ack_pending=max_ack_pending, paused=paused,
            metadata=metadata or {}, description=description,
        )  # fmt: skip
        await ensure_consumer(self._connection, STREAM, config)
        return DurableConsumer(self._connection, STREAM, name, ack_wait, EventDelivery)

    async def audit(self, record: Mapping[str, Any]) -> None:
        """Store one audit record; its `kind` becomes the subject."""
        await record_audit(self._connection, record)

    async def audit_range(self) -> tuple[int, int]:
        """The oldest and the newest sequence of the audit log; the first is above the second where there are none."""
        return await audit_range(self._connection)

    async def audit_records(
        self, first: int, last: int, kind: str = ""
    ) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]:
        """Audit records from sequence `first` to `last`, both included; of one kind or of all."""
        async with aclosing(audit_records(self._connection, first, last, kind)) as records:
            async for record in records:
                yield record

    async def close(self) -> None:
        """Take nothing new and wait for what is under way; `open_store` calls it."""
        await self._committer.close()


def _everything() -> None:
    """There is room for everything."""


def _event(message: Delivered) -> StoredEvent:
    return event_or_blank(message.sequence, message.time, message.subject, message.headers, message.body)
