"""Events as a durable consumer hands them out: what core's event processor pulls for an app's triggers."""

from __future__ import annotations

from eventstore.connection import Connection
from eventstore.consumer import Acknowledgeable, DurableConsumer
from eventstore.pull import Delivered
from eventstore.wire import event_or_blank
from pcloud.event import StoredEvent

__all__ = ["EventConsumer", "EventDelivery"]


class EventDelivery(Acknowledgeable):
    """One event, without its digest, to be settled by `ack`, `nak` or, again and again, `in_progress`."""

    __slots__ = ("event",)

    def __init__(self, connection: Connection, message: Delivered) -> None:
        super().__init__(connection, message)
        self.event: StoredEvent = event_or_blank(
            message.sequence, message.time, message.subject, message.headers, message.body, digested=False
        )


EventConsumer = DurableConsumer[EventDelivery]
