"""What `pcloud app new` makes works as it is, and its own test passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.new import write_app
from pcloud.errors import NotFound, PCloudError
from pcloud.testing import Cloud
from tests.node_process import PCLOUD


def test_the_test_of_a_new_app_passes(tmp_path: Path) -> None:
    subprocess.run([PCLOUD, "app", "new", "ink-blots", "--to", tmp_path / "ink"], check=True, timeout=60)
    environment = os.environ | {"PATH": f"{PCLOUD.parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["uv", "run", "pytest", "-q"],
        cwd=tmp_path / "ink",
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


@pytest.fixture
def ink(cloud: Cloud, tmp_path: Path) -> str:
    write_app("ink-blots", tmp_path / "ink")
    return cloud.install(tmp_path / "ink")


def test_what_an_app_does_is_seen_by_its_test(cloud: Cloud, ink: str) -> None:
    document = 'mutation { addInkBlots_Note(input: [{text: "one two three"}]) { count } }'
    assert cloud.graphql(document)["addInkBlots_Note"]["count"] == 1
    assert [run["state"] for run in cloud.wait_for_runs(ink)] == ["DONE"]
    created, counted = cloud.events("ink-blots/Note", 2)
    assert (created["kind"], created["actor"]) == ("created", "person:owner")
    assert (counted["kind"], counted["changed"], counted["actor"]) == ("updated", ["words"], "app:ink-blots")
    assert cloud.call("ink-blots/count", note=created["id"]) == 3
    cloud.wait_for(lambda: any("ready" in line for line in cloud.log(ink)), "a line of the log")
    with pytest.raises(PCloudError, match="NoneType"):
        cloud.call("ink-blots/count", note="gone")


def test_installing_the_same_again_costs_nothing(cloud: Cloud, ink: str, tmp_path: Path) -> None:
    before = cloud.graphql("{ revision }")
    assert cloud.install(tmp_path / "ink") == ink
    assert cloud.graphql("{ revision }") == before, "an event was written"


def test_waiting_for_events_that_do_not_come_says_what_came(cloud: Cloud, ink: str) -> None:
    with pytest.raises(AssertionError, match="of 999 events of ink-blots/Note"):
        cloud.events("ink-blots/Note", 999, seconds=0.3)
    with pytest.raises(NotFound):
        cloud.log("missing")


def test_the_testing_module_imports_nothing_of_the_node() -> None:
    """In a separate process, which has imported nothing else."""
    code = (
        "import sys, pcloud.testing\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('core', 'eventstore', 'projections')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=os.environ
    )
    assert result.stdout.strip() == "[]"
