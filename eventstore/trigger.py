"""Events as a durable consumer delivers them: core's event processor pulls them for an app's triggers."""

from __future__ import annotations

from eventstore.connection import Connection
from eventstore.consumer import Acknowledgeable, DurableConsumer
from eventstore.pull import Delivered
from eventstore.wire import event_or_blank
from pcloud.event import StoredEvent

__all__ = ["EventConsumer", "EventDelivery"]


class EventDelivery(Acknowledgeable):
    """One event, without its digest. Settle it with `ack` or `nak`; call `in_progress` repeatedly meanwhile."""

    __slots__ = ("event",)

    def __init__(self, connection: Connection, message: Delivered) -> None:
        super().__init__(connection, message)
        self.event: StoredEvent = event_or_blank(
            message.sequence, message.time, message.subject, message.headers, message.body, digested=False
        )


EventConsumer = DurableConsumer[EventDelivery]
