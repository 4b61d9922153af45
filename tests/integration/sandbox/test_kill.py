"""Core is killed; none of its apps' processes continue, and its next start is not disturbed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil

from core.apps.process.leftover_processes import end_leftovers
from core.apps.sandbox import Limits
from core.apps.sandbox.cell import node_id
from eventstore.server.ended import wait_ended

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_core_that_is_killed_leaves_no_process_of_its_sandboxes(tmp_path, machine):
    command = [sys.executable, "-m", "tests.integration.sandbox.kept", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as core:
        assert core.stdout is not None
        kept = json.loads(core.stdout.readline())
        processes = [psutil.Process(pid) for pid in kept["members"]]
        assert len(processes) >= 4
        core.kill()
    assert wait_ended(processes, 10.0) == []
    assert all(Path(group).exists() for group in kept["groups"])
    end_leftovers(tmp_path / "apps", machine.cgroups)
    assert not any(Path(group).exists() for group in kept["groups"])


def test_the_next_start_removes_unused_groups_of_this_node_only(tmp_path, machine):
    if machine.cgroups is None:
        return
    mine, others = (machine.cgroups.group(node_id(tmp_path / name), "tiny") for name in ("mine", "others"))
    mine.make(Limits())
    others.make(Limits())
    try:
        machine.cgroups.clean(node_id(tmp_path / "mine"))
        assert not any(folder.exists() for folder in mine.folders)
        assert all(folder.exists() for folder in others.folders)
    finally:
        others.remove()
