"""`pcloud app dev`: shows what happens, restarts a changed app, and leaves nothing behind."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.cli.new import write_app
from tests.node_process import PCLOUD, NodeProcess, wait_until
from tests.waiting import PATIENCE

SECONDS = PATIENCE
ADD = 'mutation { addInkBlots_Note(input: [{text: "one two"}]) { count } }'
Record = dict[str, Any]


class Development:
    """A running `pcloud app dev --json`."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.records: queue.Queue[Record] = queue.Queue()
        self.seen: list[Record] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.records.put(json.loads(line))

    def wait_for(self, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record:
        """Return the next record of a matching kind; earlier ones of other kinds are skipped."""
        while True:
            try:
                record = self.records.get(timeout=SECONDS)
            except queue.Empty:
                raise AssertionError(f"no {kind} came; there were {self.seen}") from None
            self.seen.append(record)
            if record["kind"] == kind and fits(record):
                return record

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)


@contextmanager
def development(folder: Path, *options: str, stderr: Any = None) -> Iterator[Development]:
    process = subprocess.Popen(
        [str(PCLOUD), "app", "dev", str(folder), "--json", *options], stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        yield Development(process)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(SECONDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_app("ink-blots", tmp_path / "ink")
    return tmp_path / "ink"


def test_a_change_is_run_at_once_and_what_happens_is_shown(node: NodeProcess, folder: Path) -> None:
    with development(folder, "--data", str(node.data)) as dev:
        dev.wait_for("ready")
        node.graphql(ADD)
        dev.wait_for("run", lambda record: record["run"]["state"] == "DONE")
        assert {record["event"]["actor"] for record in dev.seen if record["kind"] == "event"} >= {"person:owner"}
        code = folder / "app.py"
        code.write_text(code.read_text().replace("return words", 'app.log.info("counted %d", words); return words'))
        assert "app.py" in dev.wait_for("reload")["files"]
        dev.wait_for("ready")
        node.graphql(ADD)
        dev.wait_for("log", lambda record: "counted 2" in record["text"])
        assert dev.interrupt() == 0
    assert node.json("app", "list", "--json") == []


def test_a_mistake_is_shown_and_the_next_change_mends_it(node: NodeProcess, folder: Path) -> None:
    with development(folder, "--data", str(node.data), "--keep") as dev:
        dev.wait_for("ready")
        manifest = folder / "app.yaml"
        right = manifest.read_text()
        manifest.write_text(right.replace("actions:", "actoins:"))
        assert "actoins" in dev.wait_for("error")["text"]
        manifest.write_text(right.replace("0.1.0", "0.2.0"))
        dev.wait_for("ready")
        assert dev.interrupt() == 0
    assert [(app["name"], app["version"]) for app in node.json("app", "list", "--json")] == [("ink-blots", "0.2.0")]
    refused = subprocess.run(
        [str(PCLOUD), "app", "dev", str(folder), "--data", str(node.data)], capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 4 and "--keep" in refused.stderr


def test_without_a_node_one_of_its_own_comes_and_goes(folder: Path) -> None:
    with development(folder) as dev:
        data = Path(dev.wait_for("node")["data"])
        dev.wait_for("ready")
        children = psutil.Process(dev.process.pid).children(recursive=True)
        assert children and data.exists()
        assert dev.interrupt() == 0
    assert not data.parent.exists()
    assert psutil.wait_procs(children, timeout=SECONDS)[1] == []


def test_a_node_that_is_still_coming_goes_with_it(folder: Path) -> None:
    with development(folder) as dev:
        own = psutil.Process(dev.process.pid)
        [node] = wait_until(own.children, what="its node")
        [data] = [
            Path(word) for word in wait_until(lambda: command_of(node), what="its command") if "pcloud-test-" in word
        ]
        dev.process.terminate()
        assert dev.process.wait(SECONDS) == 130
        assert psutil.wait_procs([node], timeout=SECONDS)[1] == [] and not data.parent.exists()


def test_an_ended_node_is_reported_without_its_temporary_folder(folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said, development(folder, stderr=said) as dev:
        data = dev.wait_for("node")["data"]
        dev.wait_for("ready")
        [node] = psutil.Process(dev.process.pid).children()
        node.kill()
        (folder / "more.py").touch()
        assert dev.process.wait(SECONDS) == 6
    told = (tmp_path / "said").read_text()
    assert "has ended; the end of its log:" in told and data not in told.splitlines()[0] and not Path(data).exists()


def command_of(process: psutil.Process) -> list[str]:
    """Its words, once it is `pcloud up`."""
    words = process.cmdline()
    return words if "up" in words else []
