"""kill -9 at every step of a rollback."""

from __future__ import annotations

from tests.crashes.lifecycle.life import Life


def test_rollback_killed_at_any_step_continues(life: Life) -> None:
    life.install(life.first)
    life.install(life.second)
    seen: list[str] = []
    for step in life.killed("POST", "/apps/keeper/rollback"):
        seen.append(step)
        assert (life.version(), life.data()) == ("1.0.0", {"1.0.0"}), f"killed at {step}"
        life.works(step)
        life.install(life.second)
        assert life.version() == "2.0.0"
    assert {"rollback", "restore", "register", "process", "settle", "running"} <= set(seen)
