"""The two durable consumers of each trigger on GRAPH, and counting what is in the log without reading it.

`trigger_<app>_<name>_live` begins after the installation, `trigger_<app>_<name>_history` where a replay does; it is
made anew for each replay, so that no place, no delivery under way and no late acknowledgement of an earlier one is
left."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Any, TypeVar

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from core.work.processor.plan import TriggerPlan
from core.work.processor.redeliver import redeliver_pending
from core.work.processor.settings import ProcessorSettings
from pcloud.errors import Unavailable
from projections.directory import TriggerPast

__all__ = ["SIDES", "TriggerConsumers", "consumer_name"]

SIDES = ("live", "history")
# What `nats consumer info` shows to whoever looks.
DESCRIPTIONS = {
    "live": "PCloud: events for the trigger {} since its installation; core pulls, and acknowledges what has been run.",
    "history": "PCloud: the past for the trigger {}, made anew by each replay; core stops at the replay's end.",
}
Answer = TypeVar("Answer")


def consumer_name(app: str, trigger: str, side: str) -> str:
    return f"trigger_{app}_{trigger}_{side}"


class TriggerConsumers:
    """Over one log."""

    def __init__(self, store: Any, settings: ProcessorSettings) -> None:
        self._store, self._settings = store, settings

    async def live(self, plan: TriggerPlan, history: TriggerPast) -> Any:
        """Made or found."""
        return await self._ensure(plan, "live", plan.subject, history.installed + 1)

    async def history(self, plan: TriggerPlan, history: TriggerPast) -> Any:
        """Made or found; a newer replay deletes it first."""
        return await self._ensure(plan, "history", subject(plan, history), history.since)

    async def delete(self, app: str, trigger: str, side: str) -> None:
        """Deleting what is gone is fine; raises `Unavailable`."""
        name = consumer_name(app, trigger, side)
        try:
            await _unbroken(self._store.js.delete_consumer("GRAPH", name))
        except NotFoundError:
            pass
        except NatsError as error:
            raise Unavailable(f"the consumer {name} can't be deleted: {error!r}") from error

    async def ask_again(self, stream: str, consumer: Any, subject: str) -> None:
        """Have what was under way when core died handed out again, where no other node may be at it."""
        if self._settings.alone:
            await redeliver_pending(self._store, stream, consumer.name, subject)

    async def count(self, subject: str, since: int) -> int:
        """How many events are on `subject` from `since` on: the server knows without handing them out."""
        config = ConsumerConfig(
            name=f"count_{secrets.token_hex(8)}", description="PCloud: counts what a replay has before it, and goes.",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=max(1, since),
            ack_policy=AckPolicy.NONE, filter_subject=subject, inactive_threshold=10.0, mem_storage=True, num_replicas=1,
        )  # fmt: skip
        try:
            info = await _unbroken(self._store.js.add_consumer("GRAPH", config))
            await _unbroken(self._store.js.delete_consumer("GRAPH", info.name))
        except NatsError as error:
            raise Unavailable(f"the events on {subject} can't be counted: {error!r}") from error
        return info.num_pending or 0

    async def _ensure(self, plan: TriggerPlan, side: str, subject: str, start: int) -> Any:
        return await self._store.consumer(
            consumer_name(plan.app, plan.name, side), subjects=[subject], start=start, ack_wait=self._settings.ack_wait,
            # More than is held here: what comes again must find room.
            max_ack_pending=2 * self._settings.held, description=DESCRIPTIONS[side].format(plan.key),
            metadata={"pcloud_purpose": "trigger", "pcloud_app": plan.app, "pcloud_trigger": plan.name, "pcloud_side": side,
                      "pcloud_action": plan.target},
        )  # fmt: skip


def subject(plan: TriggerPlan, history: TriggerPast) -> str:
    """What the history is about: one entity, or all of the type."""
    return f"{plan.subject[:-1]}{history.only}" if history.only else plan.subject


async def _unbroken(request: Awaitable[Answer]) -> Answer:
    """Shielded: before Python 3.12 the wait_for inside the client may swallow the cancellation of whoever waits."""
    return await asyncio.shield(asyncio.ensure_future(request))
