"""Programs in real sandboxes, ended after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.apps.process.log import AppLog
from core.apps.sandbox import Machine, Ports, probe
from tests.integration.sandbox.prisoner import SERVE, Prisoner, plan_for


@pytest.fixture(scope="session")
def machine() -> Machine:
    machine = probe()
    assert machine.confines, machine.why_not
    return machine


@pytest.fixture
async def imprison(tmp_path: Path, machine: Machine) -> AsyncIterator[Callable[..., Awaitable[Prisoner]]]:
    """Start a program in a separate sandbox. `without`: parts of the machine that are not to be used."""
    ports, prisoners = Ports(tmp_path / "apps"), list[Prisoner]()

    async def imprison(
        name: str = "tiny", script: str = SERVE, *, without: dict[str, Any] | None = None, **changes: Any
    ) -> Prisoner:
        plan = plan_for(tmp_path / "apps", name, script, **changes)
        log = AppLog(tmp_path / f"{name}.log", limit=2**20, longest=2000)
        prisoner = Prisoner(plan, replace(machine, **(without or {})), ports, log)
        prisoners.append(prisoner)
        return await prisoner.start()

    yield imprison
    for prisoner in prisoners:
        await prisoner.supervisor.stop()
