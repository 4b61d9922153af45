"""The two durable consumers of each trigger on GRAPH, and counting events in the log without reading them.

`trigger_<app>_<name>_live` begins after the installation, `trigger_<app>_<name>_history` where a replay begins. Each replay
makes the history consumer again, so that no position, delivery in progress or late acknowledgement of an earlier replay
remains."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import TypeVar

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.redeliver import redeliver_pending
from core.work.processor.settings import ProcessorSettings
from eventstore import DurableConsumer, EventConsumer, EventStore, WorkDelivery
from pcloud.errors import Unavailable
from projections.directory import TriggerPast

__all__ = ["SIDES", "TriggerConsumers", "consumer_name"]

SIDES = ("live", "history")
# Shown by `nats consumer info`.
DESCRIPTIONS = {
    "live": "PCloud: events for the trigger {} since its installation; core pulls, and acknowledges what has been run.",
    "history": "PCloud: the past for the trigger {}, made again by each replay; core stops at the replay's end.",
}
Answer = TypeVar("Answer")


def consumer_name(app: str, trigger: str, side: str) -> str:
    return f"trigger_{app}_{trigger}_{side}"


class TriggerConsumers:
    """The consumers of one log."""

    def __init__(self, store: EventStore, settings: ProcessorSettings) -> None:
        self._store, self._settings = store, settings

    async def live(self, compiled: CompiledTrigger, history: TriggerPast) -> EventConsumer:
        """Make the consumer, or find it."""
        return await self._ensure(compiled, "live", compiled.subject(), history.installed + 1)

    async def history(self, compiled: CompiledTrigger, history: TriggerPast) -> EventConsumer:
        """Make the consumer, or find it; a newer replay deletes it first."""
        return await self._ensure(compiled, "history", compiled.subject(history.only), history.since)

    async def delete(self, app: str, trigger: str, side: str) -> None:
        """Delete the consumer; a missing one is fine. Raises `Unavailable`."""
        name = consumer_name(app, trigger, side)
        try:
            await _unbroken(self._store.js.delete_consumer("GRAPH", name))
        except NotFoundError:
            pass
        except NatsError as error:
            raise Unavailable(f"the consumer {name} can't be deleted: {error!r}") from error

    async def ask_again(
        self, stream: str, consumer: EventConsumer | DurableConsumer[WorkDelivery], subject: str
    ) -> None:
        """Have deliveries that were in progress when core died handed out again at once: this node alone pulls."""
        await redeliver_pending(self._store, stream, consumer.name, subject)

    async def count(self, subject: str, since: int) -> int:
        """Count the events on `subject` from `since` on: the server knows the number without sending them."""
        config = ConsumerConfig(
            name=f"count_{secrets.token_hex(8)}", description="PCloud: counts the events of a replay, and is deleted.",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=max(1, since),
            ack_policy=AckPolicy.NONE, filter_subject=subject, inactive_threshold=10.0, mem_storage=True, num_replicas=1,
        )  # fmt: skip
        try:
            info = await _unbroken(self._store.js.add_consumer("GRAPH", config))  # pyright: ignore[reportUnknownMemberType]
            await _unbroken(self._store.js.delete_consumer("GRAPH", info.name))
        except NatsError as error:
            raise Unavailable(f"the events on {subject} can't be counted: {error!r}") from error
        return info.num_pending or 0

    async def count_range(self, subject: str, since: int, until: int) -> int:
        """Count the events on `subject` from `since` to `until`."""
        return max(0, await self.count(subject, since) - await self.count(subject, until + 1))

    async def _ensure(self, compiled: CompiledTrigger, side: str, subject: str, start: int) -> EventConsumer:
        return await self._store.consumer(
            consumer_name(compiled.app, compiled.name, side), subjects=[subject], start=start, ack_wait=self._settings.ack_wait,
            # More than is held here: redeliveries need room.
            max_ack_pending=2 * self._settings.held, description=DESCRIPTIONS[side].format(compiled.key),
            metadata={"pcloud_purpose": "trigger", "pcloud_app": compiled.app, "pcloud_trigger": compiled.name, "pcloud_side": side,
                      "pcloud_action": compiled.target},
        )  # fmt: skip


async def _unbroken(request: Awaitable[Answer]) -> Answer:
    """Shield the request: before Python 3.12 the wait_for inside the client may swallow the caller's cancellation."""
    return await asyncio.shield(asyncio.ensure_future(request))
