"""kill -9 at every step of a removal."""

from __future__ import annotations

from tests.crashes.lifecycle.life import Life
from tests.waiting import wait_until


def test_removal_killed_at_any_step_continues(life: Life) -> None:
    life.install(life.first)
    life.works("before")
    seen: list[str] = []
    for step in life.killed("DELETE", "/apps/keeper?forget=true"):
        seen.append(step)
        wait_until(lambda: life.detail() is None, what=f"the removal killed at {step}")
        assert not (life.node.data / "apps" / "keeper").exists()
        life.install(life.first)
        assert (life.notes(), life.count("begin"), life.count("echo")) == ([], 1, 0), f"killed at {step}"
        life.works(step)
    assert {"remove", "stop", "forget", "delete"} <= set(seen)
