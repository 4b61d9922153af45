"""A token is looked up once, until something of core's own changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.caller import Caller
from core.ingress.recognised import Recognised
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref


class Loop:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[Sequence[StoredEvent]], None]] = []

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None], /) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def fold(self, app: str) -> None:
        event = StoredEvent(1, 0.0, Ref(app, "Device", "d"), Kind.UPDATED, None, "", 1, 1, "owner")  # type: ignore[arg-type]
        for callback in self.callbacks:
            callback([event])


class Door:
    def __init__(self) -> None:
        self.known: dict[str, Caller] = {"good": Caller("device", "d")}
        self.asked: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    async def __call__(self, token: str) -> Caller | None:
        self.asked.append(token)
        found = self.known.get(token)
        self.meanwhile()
        return found


async def test_a_token_is_looked_up_once_until_core_changes() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    assert await recognised.caller("good") == await recognised.caller("good") == Caller("device", "d")
    loop.fold("photos")
    await recognised.caller("good")
    assert door.asked == ["good"]
    door.known.clear()
    loop.fold("core")
    assert await recognised.caller("good") is None


async def test_an_answer_from_before_a_revocation_is_not_kept() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    door.meanwhile = lambda: loop.fold("core")
    await recognised.caller("good")
    door.known.clear()
    assert await recognised.caller("good") is None


async def test_a_token_that_nobody_has_is_asked_for_each_time() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    assert await recognised.caller("bad") is await recognised.caller("bad") is None
    assert door.asked == ["bad", "bad"]
    recognised.close()
    assert not loop.callbacks
