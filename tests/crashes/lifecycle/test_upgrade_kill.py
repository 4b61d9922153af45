"""kill -9 at every step of an upgrade, and while a failed one is rolled back."""

from __future__ import annotations

from tests.crashes.lifecycle.life import ON_THE_WAY, Life, archive
from tests.waiting import wait_until


def test_upgrade_killed_at_any_step_continues_or_never_happened(life: Life) -> None:
    """Each time to the next version, which has an init action of its own."""
    life.install(life.first)
    upgrades = 0
    seen: list[str] = []

    def newer() -> bytes:
        return archive(life.folder, f"{upgrades + 2}.0.0")

    for step in life.killed("POST", "/apps?approve=all", newer):
        seen.append(step)
        before, now = f"{upgrades + 1}.0.0", life.version()
        assert now != before or "register" not in seen, f"killed at {step}"
        upgrades += now != before  # the node may be further than its last reported step when the kill comes
        assert now == f"{upgrades + 1}.0.0"
        assert (life.count("grow"), life.count("begin")) == (upgrades, 1), f"an init action, killed at {step}"
        life.works(step)
    assert 0 < upgrades < len(seen)
    assert {"stop", "snapshot", "register", "process", "init", "running"} <= set(seen)


def test_an_upgrade_that_does_not_work_is_taken_back_over_a_kill(life: Life) -> None:
    life.install(life.first)
    for step in ("settle", "rollback", "restore"):
        life.do("POST", "/apps?approve=all", life.broken, at=step)
        life.node.start()
        wait_until(lambda: life.state() not in ON_THE_WAY, seconds=150, what="the way back")
        detail = life.detail()
        assert detail and (detail["version"], detail["state"]) == ("1.0.0", "RUNNING")
        assert "2.0.1 did not work and was rolled back" in detail["error"] and "broken" in detail["error"]
        assert life.data() == {"1.0.0"}
        life.works(step)
