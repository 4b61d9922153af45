"""The log's public interface: append a transaction, read, follow, and the streams beside it.

async with open_server(ServerSettings(folder)) as server:
    async with open_store(ConnectionSettings(server.url, server.core)) as store:
        appended = await store.append(transaction)
        async for batch in store.follow(after=0): ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Protocol

from nats.aio.client import Client
from nats.js.client import JetStreamContext

from eventstore.apart import WORTH_IT, read_apart
from eventstore.archives import Archives
from eventstore.audit import audit_range, audit_records, record_audit
from eventstore.commit import Committer
from eventstore.connection import Connection, open_connection
from eventstore.consumer import DurableConsumer, consumer_config, ensure_consumer
from eventstore.erasure import Erasure
from eventstore.follow import follow, read, read_batches
from eventstore.message import get_message, parse_time
from eventstore.outcome import Settler, prepare
from eventstore.packed import Stretch
from eventstore.pull import Delivered
from eventstore.report import ConsumerReport, StreamReport, report_consumers, report_streams
from eventstore.runs import RunStore
from eventstore.settings import ConnectionSettings, StoreSettings
from eventstore.topology import LogIdentity, ensure_streams
from eventstore.transaction import Appended, Transaction
from eventstore.trigger import EventConsumer, EventDelivery
from eventstore.wire import event_or_blank
from eventstore.work import WorkQueue
from pcloud.errors import PCloudError
from pcloud.event import StoredEvent
from pcloud.subject import GRAPH_SUBJECTS, Ref

__all__ = ["EventStore", "EventStoreReader", "OnAppend", "open_store"]

STREAM = "GRAPH"

OnAppend = Callable[[Transaction, float, str], None]
Admit = Callable[[bool], None]
"""Called after each append with its seconds and `OK` or the code of its error. It must not block and not raise."""


class EventStoreReader(Protocol):
    """What a projection needs of the log. Sequences count from 1; each event comes once, in order. A message that
    PCloud did not write comes as an event that changes nothing."""

    @property
    def epoch(self) -> str: ...

    async def last_sequence(self) -> int: ...

    def follow(self, after: int, *, subjects: Sequence[str] = ...) -> AsyncGenerator[list[StoredEvent], None]: ...

    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncGenerator[StoredEvent, None]: ...


@asynccontextmanager
async def open_store(
    connection: ConnectionSettings, *, replicas: int | None = None, settings: StoreSettings | None = None
) -> AsyncGenerator[EventStore]:
    """Connect, make or update the streams, and close after appends in flight. Raises `Unavailable`."""
    settings = settings or StoreSettings()
    if replicas is not None:
        settings = replace(settings, replicas=replicas)
    async with open_connection(connection) as opened:
        watch = asyncio.create_task(opened.pulse.watch(), name="pulse of the log")
        try:
            with opened.starting():
                identity = await ensure_streams(opened, settings)
            store = EventStore(opened, identity, settings)
            try:
                yield store
            finally:
                await store.close()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


class EventStore:
    """Made by `open_store`. Any task may use it at any time."""

    def __init__(self, connection: Connection, identity: LogIdentity, settings: StoreSettings) -> None:
        self._connection = connection
        self._committer = Committer(connection, Settler(connection, identity.epoch, settings), settings)
        self.epoch = identity.epoch
        self.id_key = identity.id_key
        self.nats: Client = connection.client
        self.js: JetStreamContext = connection.client.jetstream()  # pyright: ignore[reportUnknownMemberType]
        self._admit: Admit = _everything
        self._on_append: OnAppend = _ignored
        self.work = WorkQueue(connection, self.admit)
        self.runs = RunStore(connection)
        self.erasure = Erasure(connection)
        self.archives = Archives(connection, self.admit)

    @property
    def problem(self) -> str:
        """Why nothing can be stored now, or why a view gets nothing new; '' if all is well."""
        return self.silence or self.held or self.unreadable

    @property
    def silence(self) -> str:
        """Why nothing can be stored, if the log's server does not answer; '' if it does."""
        return self._connection.pulse.problem

    @property
    def standstill(self) -> str:
        """Why the log's server is stopped on purpose now; '' if it is not."""
        return self._connection.pulse.standstill

    def stopped(self, reason: str) -> AbstractAsyncContextManager[None]:
        """Within this block the log's server is stopped on purpose: its silence has this reason."""
        return self._connection.pulse.stopped(reason)

    @property
    def held(self) -> str:
        """The reason given to `hold_writes`; '' if writes are not held."""
        return self._connection.held

    @property
    def unreadable(self) -> str:
        """Why a view gets nothing new, if the log's server refuses to let it read a stream; '' otherwise."""
        return self._connection.unreadable

    @property
    def silences(self) -> int:
        """How often the log's server has fallen silent."""
        return self._connection.pulse.silences

    def check(self) -> None:
        """Raises `Unavailable` while the log's server is silent, or nothing may be written."""
        self._connection.check_writes()

    async def well(self) -> None:
        """Wait until the log's server answers."""
        await self._connection.pulse.well()

    def hold_writes(self, reason: str) -> None:
        """Refuse every write with this reason, urgent ones too; '' allows them again."""
        self._connection.hold_writes(reason)

    @contextmanager
    def starting(self) -> Generator[None]:
        """Within the block, requests of this task, and of tasks that it makes, wait for a silent server instead of being
        refused: a node that starts has no caller to answer. Requests of other tasks are refused as ever."""
        with self._connection.starting():
            yield

    def admit_when(self, check: Admit) -> None:
        """Call `check` before storing a durable call or a transaction that is not urgent, with True for one that only
        deletes. It raises `Unavailable` if there is no room; work in flight continues."""
        self._admit = check

    def on_append(self, callback: OnAppend) -> None:
        """Call `callback` after each append, also after a failed one."""
        self._on_append = callback

    @property
    def waiting(self) -> int:
        """The number of transactions that wait to be sent."""
        return self._committer.waiting

    def admit(self, removes: bool = False) -> None:
        """Raises `Unavailable` while the log accepts nothing new, or no deletion."""
        self._admit(removes)

    async def append(self, transaction: Transaction) -> Appended:
        """Store all of its events, or none. Raises `Conflict` if an entity no longer has the expected version,
        `Rejected` if it is too large, `Unavailable` if the log can't be reached. That message says if the outcome is
        unknown: then send the same transaction again."""
        began = perf_counter()
        try:
            self.check()
            if not transaction.urgent:
                self.admit(transaction.removes)
            appended = await self._committer.append(prepare(transaction, self._connection.max_payload))
        except PCloudError as error:
            self._on_append(transaction, perf_counter() - began, error.code)
            raise
        self._on_append(transaction, perf_counter() - began, "OK")
        return appended

    async def last_sequence(self) -> int:
        """Sequence of the newest event, as stored by the leader; 0 for an empty log."""
        return int((await self._connection.api(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"])

    async def follow(
        self, after: int, *, subjects: Sequence[str] = (GRAPH_SUBJECTS,)
    ) -> AsyncGenerator[list[StoredEvent], None]:
        """Yield the events after sequence `after`: those that are there, at most 500 at once, then new ones. Never ends
        by itself."""
        async with aclosing(follow(self._connection, STREAM, after, subjects)) as batches:
            async for batch in batches:
                yield [_event(message) for message in batch]

    async def read(
        self, first: int, last: int, *, subjects: Sequence[str] = (GRAPH_SUBJECTS,)
    ) -> AsyncGenerator[StoredEvent, None]:
        """Events from sequence `first` to `last`, both included; ends at the log's end if that comes first."""
        async with aclosing(read(self._connection, STREAM, first, last, subjects)) as messages:
            async for message in messages:
                yield _event(message)

    async def read_batches(
        self, first: int, last: int, *, subjects: Sequence[str] = (GRAPH_SUBJECTS,)
    ) -> AsyncGenerator[list[StoredEvent], None]:
        """Like `read`, in lists of at most 500: for a long stretch, which a separate process reads. Waits for a silent
        server."""
        if last - first >= WORTH_IT:
            stretch = Stretch(self._connection.settings, STREAM, first, last, list(subjects))
            async with aclosing(read_apart(stretch)) as found:
                async for events in found:
                    yield events
                    first = events[-1].sequence + 1
        batches = read_batches(self._connection, STREAM, first, last, subjects, patience=None)
        async with aclosing(batches):
            async for batch in batches:
                yield [_event(message) for message in batch]

    async def last_event(self, ref: Ref) -> StoredEvent | None:
        """The entity's newest event, as stored by the leader."""
        found = await get_message(self._connection, STREAM, {"last_by_subj": ref.subject})
        return found and event_or_blank(found.sequence, found.time, found.subject, found.headers, found.body)

    async def sequence_at(self, time: float) -> int:
        """The first sequence at or after `time` (seconds since 1970); one more than the last sequence for a later
        time."""
        start = datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
        found = await get_message(self._connection, STREAM, {"start_time": start, "next_by_subj": GRAPH_SUBJECTS})
        return found.sequence if found is not None else await self.last_sequence() + 1

    async def time_after(self, sequence: int) -> float | None:
        """When the first event after `sequence` was stored; None without such an event."""
        request = {"seq": sequence + 1, "next_by_subj": GRAPH_SUBJECTS}
        found = await get_message(self._connection, STREAM, request)
        return found and found.time

    async def newest_time(self) -> float:
        """When the newest event was stored, in seconds since 1970; 0 for an empty log."""
        state = (await self._connection.api(f"STREAM.INFO.{STREAM}"))["state"]
        return parse_time(state["last_ts"]) if int(state["last_seq"]) else 0.0

    async def oldest_time(self) -> float:
        """When the oldest event was stored, in seconds since 1970; 0 for an empty log."""
        state = (await self._connection.api(f"STREAM.INFO.{STREAM}"))["state"]
        return parse_time(state["first_ts"]) if int(state["messages"]) else 0.0

    async def report_streams(self, *, patience: float = 15.0) -> Sequence[StreamReport]:
        """A report on each stream. Raises `Unavailable` if the server does not answer within `patience` seconds."""
        return await report_streams(self._connection, patience=patience)

    async def report_consumers(self, stream: str, *, patience: float = 15.0) -> Sequence[ConsumerReport]:
        """The positions of triggers (`GRAPH`) and durable calls (`WORK`). Raises `Unavailable`."""
        return await report_consumers(self._connection, stream, patience=patience)

    async def consumer(
        self, name: str, *, subjects: Sequence[str], start: str | int = "new", ack_wait: float = 30.0,
        max_ack_pending: int = 256, paused: bool = False, metadata: Mapping[str, str] | None = None,
        description: str = "",
    ) -> EventConsumer:  # fmt: skip
        """A durable consumer of events, made or found. `start` ('new', 'all' or a sequence) and `paused` hold for a new
        one only; one that exists keeps its place. Only one that started at 'all' can be reset to any sequence."""
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
        """The oldest and the newest sequence of the audit log; in an empty log, the first is above the second."""
        return await audit_range(self._connection)

    async def audit_records(
        self, first: int, last: int, kind: str = ""
    ) -> AsyncGenerator[tuple[int, Mapping[str, Any]], None]:
        """Audit records from sequence `first` to `last`, both included, of one kind or of all."""
        async with aclosing(audit_records(self._connection, first, last, kind)) as records:
            async for record in records:
                yield record

    async def close(self) -> None:
        """Accept nothing new and wait for appends in flight; `open_store` calls it."""
        await self._committer.close()


def _everything(removes: bool = False) -> None:
    """The default check: there is always room."""


def _ignored(transaction: Transaction, seconds: float, outcome: str) -> None:
    """The default callback does nothing."""


def _event(message: Delivered) -> StoredEvent:
    return event_or_blank(message.sequence, message.time, message.subject, message.headers, message.body)
