"""A token is looked up once, until something of core's own changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from core.caller import Caller
from core.ingress.recognised import MOST, Recognised
from pcloud.errors import Unavailable
from pcloud.event import Kind, StoredEvent
from pcloud.subject import Ref


class Loop:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[Sequence[StoredEvent]], None]] = []

    def on_applied(self, callback: Callable[[Sequence[StoredEvent]], None], /) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def fold(self, *apps: str, type: str = "Device", kind: Kind = Kind.UPDATED) -> None:
        events = [
            StoredEvent(1, 0.0, Ref(app, type, "d"), kind, None, "", 1, 1, "owner")  # type: ignore[arg-type]
            for app in apps
        ]
        for callback in self.callbacks:
            callback(events)


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


async def test_an_answer_from_before_a_revocation_is_asked_for_again() -> None:
    """Otherwise a websocket that is just being opened would stay open: those of the device have been closed by then."""
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)

    def revoke() -> None:
        door.known.clear()
        loop.fold("core")
        door.meanwhile = lambda: None

    door.meanwhile = revoke
    assert await recognised.caller("good") is None
    assert door.asked == ["good", "good"]


async def test_while_core_changes_all_the_time_nobody_is_let_in_by_an_old_answer() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    door.meanwhile = lambda: loop.fold("core")
    with pytest.raises(Unavailable):
        await recognised.caller("good")
    door.meanwhile = lambda: None
    assert await recognised.caller("good") == Caller("device", "d")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("type", ["Owner", "Device", "App", "Grant"])
async def test_any_event_of_cores_own_counts_wherever_it_stands_in_a_batch(type: str, kind: Kind) -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    await recognised.caller("good")
    door.known.clear()
    loop.fold("photos", "photos", "core", "photos", type=type, kind=kind)
    assert await recognised.caller("good") is None


async def test_one_token_is_not_taken_for_another() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    door.known |= {"other": Caller("device", "e"), "good\udcff": Caller("device", "f")}
    found = [await recognised.caller(token) for token in ("good", "other", "good\udcff") for _ in range(2)]
    assert [caller and caller.name for caller in found] == ["d", "d", "e", "e", "f", "f"]
    for wrong in ("goo", "good ", "GOOD", "", "good\x00", "good\udcfe"):
        assert await recognised.caller(wrong) is None


async def test_so_many_are_remembered_and_no_more_and_never_the_token_itself() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    door.known = {f"token{number}": Caller("device", str(number)) for number in range(3 * MOST)}
    for token in door.known:
        assert await recognised.caller(token) == door.known[token]
        assert len(recognised._known) <= MOST
    assert "token" not in repr(recognised._known)


async def test_strangers_push_nobody_out() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    await recognised.caller("good")
    for number in range(2 * MOST):
        assert await recognised.caller(f"guess{number}") is None
    await recognised.caller("good")
    assert door.asked.count("good") == 1


async def test_a_token_that_nobody_has_is_asked_for_each_time() -> None:
    loop, door = Loop(), Door()
    recognised = Recognised(loop, door)
    assert await recognised.caller("bad") is await recognised.caller("bad") is None
    assert door.asked == ["bad", "bad"]
    recognised.close()
    assert not loop.callbacks
