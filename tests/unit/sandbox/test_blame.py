"""Who is to blame for a process that the kernel killed for memory: what the group counted around that kill decides, not ever before."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.apps.sandbox.cgroup import Cgroup
from core.apps.sandbox.limits import Limits
from core.apps.sandbox.watch import Watch

OWN, MACHINE = "it needed more", "the machine had"


class Group:
    """The files of a control group as the kernel writes them."""

    def __init__(self, folder: Path, version: int) -> None:
        self.folder, self.version, self.said = folder, version, list[str]()
        self.count(filled=0, killed=0)
        self.watch = Watch(
            Limits(), [folder], Cgroup(folder, folder, version), list, lambda _, detail: self.said.append(detail), lambda *_: None
        )  # fmt: skip

    def count(self, *, filled: int, killed: int) -> None:
        if self.version == 2:
            (self.folder / "memory.events").write_text(f"low 0\noom {filled}\noom_kill {killed}\n")
        else:
            (self.folder / "memory.failcnt").write_text(f"{filled}\n")
            (self.folder / "memory.oom_control").write_text(f"under_oom 0\noom_kill {killed}\n")

    def look(self) -> str:
        self.said.clear()
        self.watch.look()
        return " ".join(" ".join(self.said).split()[:3])


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Group:
    return Group(tmp_path, request.param)


def test_a_kill_for_the_machine_after_one_of_its_own_is_the_machines(group: Group) -> None:
    assert group.look() == ""
    group.count(filled=3, killed=1)
    assert group.look() == OWN and group.look() == ""
    group.count(filled=3, killed=2)
    assert group.look() == MACHINE
    group.count(filled=4, killed=3)
    assert group.look() == OWN


def test_a_kill_that_is_counted_a_moment_after_its_cause_is_its_own(group: Group) -> None:
    group.count(filled=1, killed=0)
    assert group.look() == ""
    group.count(filled=1, killed=1)
    assert group.look() == OWN


def test_a_limit_that_was_reached_long_ago_is_no_cause(group: Group) -> None:
    group.count(filled=9, killed=0)
    assert [group.look(), group.look(), group.look()] == ["", "", ""]
    group.count(filled=9, killed=1)
    assert group.look() == MACHINE
