"""What the SDK uses of FastStream beyond what that library documents: all of it is here, and a test says what an update has changed.

- `subscription` of a subscriber: nats-py's own. A stopping app drains it, so that the calls that have arrived are still
  answered. FastStream's `stop` drops them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faststream.nats import NatsBroker

__all__ = ["drain"]


async def drain(broker: NatsBroker) -> None:
    """Subscribe to nothing from now on, and return once what has arrived was received. A second time, do nothing."""
    subscriber: Any
    for subscriber in broker.subscribers:
        if subscriber.subscription is not None:
            await subscriber.subscription.drain()
            subscriber.subscription = None
