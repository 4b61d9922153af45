"""kill -9 at every step of an installation."""

from __future__ import annotations

from tests.crashes.lifecycle.life import Life


def test_an_installation_killed_at_any_step_goes_on_or_never_was(life: Life) -> None:
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
