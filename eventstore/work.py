"""WORK: durable calls, `work.<app>.<action>.<id>`. Stored before the caller is answered, deleted once acknowledged.

Each app has its own durable consumer, so that an app that hangs delays only itself. This module does not interpret
calls.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from eventstore.connection import ApiError, Connection
from eventstore.consumer import Acknowledgeable, DurableConsumer, consumer_config, ensure_consumer
from eventstore.publish import publish
from eventstore.pull import Delivered
from eventstore.retry import until_answered
from eventstore.wire import EXPECTED, MESSAGE_ID, Message
from pcloud.errors import Unavailable
from pcloud.subject import ActionRef, check_app, work_subjects

__all__ = ["WorkDelivery", "WorkQueue"]

STREAM = "WORK"
ALREADY_THERE = frozenset({10071, 10164})


class WorkDelivery(Acknowledgeable):
    """One call: `app`, `action` and `id` from its `subject`; `body` and `headers` as they were stored."""

    __slots__ = ("action", "app", "body", "headers", "id", "subject")

    def __init__(self, connection: Connection, message: Delivered) -> None:
        super().__init__(connection, message)
        self.subject = message.subject
        self.app, self.action, self.id = ActionRef.of_subject(message.subject)
        self.body = message.body
        self.headers: Mapping[str, str] = {
            name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")
        }


class WorkQueue:
    """Available as `EventStore.work`."""

    def __init__(self, connection: Connection, admit: Callable[[], None]) -> None:
        self._connection = connection
        self._admit = admit

    async def put(self, app: str, action: str, id: str, body: bytes, headers: Mapping[str, str] | None = None) -> bool:
        """Store one call. Returns False if a call with this id is waiting already, or was within the duplicate window.
        Raises `Unavailable` if it can't be stored."""
        self._admit()
        subject = ActionRef(app, action, id).work_subject
        message = Message(subject, {**(headers or {}), MESSAGE_ID: subject, EXPECTED: "0"}, body)
        try:
            ack = await until_answered(
                self._connection, lambda: publish(self._connection, message, 5.0), f"the call {subject}"
            )
        except ApiError as error:
            if error.number in ALREADY_THERE:
                return False
            raise Unavailable(f"the call {subject} can't be stored: {error}") from error
        return not ack.duplicate

    async def consumer(
        self, app: str, *, ack_wait: float = 30.0, max_ack_pending: int = 256, paused: bool = False
    ) -> DurableConsumer[WorkDelivery]:
        """The app's durable consumer `work_<app>`, made or found."""
        name = f"work_{check_app(app)}"
        config = consumer_config(
            name, [work_subjects(app)], "all", ack_wait=ack_wait, max_ack_pending=max_ack_pending, paused=paused,
            metadata={"pcloud_purpose": "work", "pcloud_app": app},
            description=f"PCloud: durable calls that wait for the app {app}; core pulls them and acknowledges those that have run.",
        )  # fmt: skip
        await ensure_consumer(self._connection, STREAM, config)
        return DurableConsumer(self._connection, STREAM, name, ack_wait, WorkDelivery)

    async def pull(self, app: str, *, batch: int = 64, ack_wait: float = 30.0) -> AsyncGenerator[WorkDelivery, None]:
        """Yield the app's calls one by one, without end."""
        consumer = await self.consumer(app, ack_wait=ack_wait)
        async with aclosing(consumer.pull(batch)) as deliveries:
            async for delivery in deliveries:
                yield delivery
