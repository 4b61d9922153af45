"""Programs in real sandboxes with access to hosts outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from core.apps.egress import Egress
from tests.integration.egress.world import World, granted, open_world
from tests.integration.sandbox.conftest import imprison, machine
from tests.integration.sandbox.prisoner import SERVE, Prisoner

__all__ = ["imprison", "machine"]


class Traveller:
    """A program that may reach what the current `grants` allow."""

    def __init__(self, world: World, targets: tuple[str, ...]) -> None:
        self.egress: Egress = world.egress
        self.grants = granted(*targets)
        self.doors = self.egress.doors("tiny", lambda: self.grants)
        self.prisoner: Prisoner

    def withdraw(self) -> None:
        self.grants = []
        self.egress.recheck(lambda app: self.grants)

    async def do(self, action: Callable[..., Any] | str, *args: Any) -> Any:
        return await self.prisoner.do(action, *args)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as world:
        yield world


@pytest.fixture
async def travel(world: World, imprison: Callable[..., Awaitable[Prisoner]]) -> AsyncIterator[Callable[..., Any]]:
    """Start a program with these network grants."""
    travellers: list[Traveller] = []

    async def travel(*targets: str, script: str = SERVE, **more: Any) -> Traveller:
        one = Traveller(world, targets)
        environment = {"PORT": "8080", "PATH": "/usr/bin:/usr/local/bin", "PCLOUD_APP": "tiny", **one.doors.environment}
        one.prisoner = await imprison(
            "tiny", script, outside=one.doors.openings, hosts=one.doors.hosts, environment=environment, **more
        )
        travellers.append(one)
        return one

    yield travel
    for one in travellers:
        one.egress.close()
