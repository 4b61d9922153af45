"""kill -9 at every step of an installation."""

from __future__ import annotations

from tests.crashes.lifecycle.life import Life


def test_installation_killed_at_any_step_continues_or_never_happened(life: Life) -> None:
    installed = 0
    seen: list[str] = []
    for step in life.killed("POST", "/apps?approve=all", lambda: life.first):
        seen.append(step)
        assert life.version() or "register" not in seen, f"killed at {step}"
        if life.version():  # the node may be further than its last reported step when the kill comes
            installed += 1
            assert life.count("begin") == installed, f"the init action was made twice, killed at {step}"
            life.works(step)
            life.do("DELETE", "/apps/keeper")
    assert 0 < installed < len(seen)
    assert {"unpack", "environment", "credentials", "consumers", "process", "settle", "init", "running"} <= set(seen)
