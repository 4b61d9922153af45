"""kill -9 of the node at every step of an app's life: after a restart the app is on its way to the end, or as it was before, and
nothing was done twice.

The steps are not named here: they are those that the node tells, one after the other, while it installs, upgrades, rolls back or
removes a small app. The node is killed when it has told the first one, at the next try the second one, and so on.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.app import packed
from core.app.folders import ENVIRONMENTS
from core.cli.client import Client, open_client
from pcloud.errors import NotFound, PCloudError, Unavailable
from tests.crashes.quick_node import QuickNode
from tests.node_process import ROOT, NodeProcess, wait_until

MANIFEST = """
name: keeper
version: {version}
schema: schema.graphql
actions:
  - {{name: begin}}
  - {{name: grow, args: {{version: String!}}}}
  - {{name: note, args: {{text: String!}}}}
  - {{name: echo, args: {{note: ID!}}}}
triggers: [{{name: echoes, on: {{type: keeper/Note}}, action: echo, args: {{note: "{{{{ event.id }}}}"}}}}]
init: [{{call: begin}}{grow}]
run: {{command: [python, keeper.py]}}
"""
SCHEMA = "type Note {{ text: String! }}\ntype Entry {{ kind: String! @search(by: [hash]) about: String {more} }}\n"
SOURCE = """
import sys
sys.pycache_prefix = None  # what was compiled beside the packages is taken, for each version of the app
from pcloud.app import App

app = App()
ADD = "mutation($entry: AddEntryInput!) {{ addEntry(input: [$entry]) {{ count }} }}"
NOTE = "mutation($note: AddNoteInput!) {{ addNote(input: [$note]) {{ count }} }}"

@app.action
async def begin() -> None:
    await app.graph.mutate(ADD, {{"entry": {{"kind": "begin"}}}})

@app.action
async def grow(version: str) -> None:
    await app.graph.mutate(ADD, {{"entry": {{"kind": "grow", "about": version}}}})

@app.action
async def note(text: str) -> None:
    await app.graph.mutate(NOTE, {{"note": {{"text": text}}}})

@app.action
async def echo(note: str) -> None:
    await app.graph.mutate(ADD, {{"entry": {{"kind": "echo", "about": note}}}})

with (app.data / "versions").open("a") as file:
    file.write("{version}\\n")
{end}
"""
ENTRIES = "{ queryKeeper_Entry(first: 1000) { kind about } queryKeeper_Note(first: 1000) { id } }"
LOCK = ROOT / "core" / "cli" / "templates" / "app" / "requirements.lock"
ON_THE_WAY = ("INSTALLING", "UPGRADING", "REMOVING")


def archive(folder: Path, version: str, *, end: str = "app.run()") -> bytes:
    folder.mkdir(exist_ok=True)
    newer = version != "1.0.0"
    (folder / "app.yaml").write_text(
        MANIFEST.format(version=version, grow=f", {{call: grow, args: {{version: {version}}}}}" if newer else "")
    )
    (folder / "schema.graphql").write_text(SCHEMA.format(more="more: Int" if newer else ""))
    shutil.copy(LOCK, folder)
    (folder / "keeper.py").write_text(SOURCE.format(version=version, end=end))
    return packed(folder).data


class Life:
    """The app on a node that dies now and then."""

    def __init__(self, node: NodeProcess, folder: Path):
        self.node = node
        self.folder = folder
        self.first, self.second = archive(folder, "1.0.0"), archive(folder, "2.0.0")
        self.broken = archive(folder, "2.0.1", end="raise SystemExit('broken')")

    def do(self, method: str, path: str, data: bytes | None = None, *, kill: int = -1, at: str = "") -> list[str]:
        """Have it done; the steps that were told. Killed once `kill` steps were told, or the step `at`."""
        told: list[str] = []

        async def work(client: Client) -> None:
            try:
                async for record in client.lines(method, path, data=data):
                    if "step" in record:
                        told.append(record["step"])
                        if len(told) - 1 == kill or record["step"] == at:
                            self.node.kill()
                            return  # what it had told beyond that is on its way still
            except PCloudError:
                if kill < 0 and not at:
                    raise
            except Exception:  # the connection went with the node
                assert kill >= 0 or at

        self._ask(work)
        return told

    def killed(self, method: str, path: str, data: Callable[[], bytes | None] = lambda: None) -> Iterator[str]:
        """Do it again and again, each time killed a step later, until it is through; each time started again, and settled. Whoever
        iterates brings the app back to where it began."""
        number = 0
        while True:
            told = self.do(method, path, data(), kill=number)
            assert self.node.process
            if self.node.process.poll() is None:
                assert number > 0, "no step was told"
                return
            self.node.start()
            wait_until(lambda: self.state() not in ON_THE_WAY, what=f"the end after a kill at {told[-1]}")
            yield told[-1]
            number += 1

    def install(self, data: bytes) -> None:
        self.do("POST", "/apps?approve=all", data)

    def detail(self) -> dict[str, Any] | None:
        async def work(client: Client) -> Any:
            try:
                return await client.ask("GET", "/apps/keeper")
            except NotFound:
                return None

        return self._ask(work)

    def state(self) -> str:
        return (self.detail() or {"state": ""})["state"]

    def version(self) -> str:
        """Of the app that runs, '' when there is none; fails for one that is there and does not run."""
        detail = self.detail()
        assert detail is None or detail["state"] == "RUNNING", detail
        return detail["version"] if detail else ""

    def count(self, kind: str) -> int:
        return sum(entry["kind"] == kind for entry in self.node.graphql(ENTRIES)["queryKeeper_Entry"])

    def works(self, text: str) -> None:
        """It takes calls, its trigger runs, and each note has its one echo."""
        wait_until(lambda: self.call("keeper/note", {"text": text}), what="a call")
        notes, echoes = wait_until(self.echoed, what="the echo of a note")
        assert echoes == notes

    def echoed(self) -> tuple[list[str], list[str]] | None:
        """The notes, and those of which there is an echo, one each time; None while one has none."""
        found = self.node.graphql(ENTRIES)
        notes = sorted(note["id"] for note in found["queryKeeper_Note"])
        echoes = sorted(entry["about"] for entry in found["queryKeeper_Entry"] if entry["kind"] == "echo")
        return (notes, echoes) if set(notes) <= set(echoes) else None

    def call(self, target: str, args: dict[str, str]) -> bool:
        async def work(client: Client) -> bool:
            try:
                await client.ask("POST", "/call", json_body={"target": target, "args": args})
            except Unavailable:  # it is starting
                return False
            return True

        return self._ask(work)

    def notes(self) -> list[str]:
        return [note["id"] for note in self.node.graphql(ENTRIES)["queryKeeper_Note"]]

    def data(self) -> set[str]:
        """The versions that have written into the data folder."""
        return set((self.node.data / "apps" / "keeper" / "data" / "versions").read_text().split())

    def _ask(self, work: Any) -> Any:
        async def ask() -> Any:
            async with open_client(self.node.data) as client:
                return await work(client)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """One node for all. Another app there, without a process, has the same lock, so that the packages are built and compiled once."""
    folder = tmp_path_factory.mktemp("lives")
    with QuickNode(folder / "node") as node:
        life = Life(node, folder / "keeper")
        (folder / "anchor").mkdir()
        (folder / "anchor" / "app.yaml").write_text("name: anchor\nversion: 1.0.0\n")
        shutil.copy(LOCK, folder / "anchor")
        life.install(packed(folder / "anchor").data)
        life.install(life.first)
        subprocess.run([sys.executable, "-m", "compileall", "-q", node.data / "apps" / ENVIRONMENTS], check=True)
        yield life


@pytest.fixture
def life(lives: Life) -> Life:
    """Without the app, and without anything that it left."""
    if lives.node.process and lives.node.process.poll() is not None:
        lives.node.start()
    if lives.detail():
        lives.do("DELETE", "/apps/keeper?forget=true")
    assert not (lives.node.data / "apps" / "keeper").exists()
    return lives


@pytest.mark.timeout(300)
def test_an_installation_killed_at_any_step_goes_on_or_never_was(life: Life) -> None:
    installed = 0
    seen: list[str] = []
    for step in life.killed("POST", "/apps?approve=all", lambda: life.first):
        seen.append(step)
        assert life.version() or "register" not in seen, f"killed at {step}"
        if life.version():  # the node may be further than it has told when the kill comes
            installed += 1
            assert life.count("begin") == installed, f"the init action was made twice, killed at {step}"
            life.works(step)
            life.do("DELETE", "/apps/keeper")
    assert 0 < installed < len(seen)
    assert {"unpack", "environment", "credentials", "consumers", "process", "settle", "init", "running"} <= set(seen)


@pytest.mark.timeout(300)
def test_an_upgrade_killed_at_any_step_goes_on_or_never_was(life: Life) -> None:
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
        upgrades += now != before  # the node may be further than it has told when the kill comes
        assert now == f"{upgrades + 1}.0.0"
        assert (life.count("grow"), life.count("begin")) == (upgrades, 1), f"an init action, killed at {step}"
        life.works(step)
    assert 0 < upgrades < len(seen)
    assert {"stop", "snapshot", "register", "process", "init", "running"} <= set(seen)


@pytest.mark.timeout(300)
def test_a_rollback_killed_at_any_step_goes_on(life: Life) -> None:
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


@pytest.mark.timeout(300)
def test_an_upgrade_that_does_not_work_is_taken_back_over_a_kill(life: Life) -> None:
    life.install(life.first)
    for step in ("settle", "rollback", "restore"):
        life.do("POST", "/apps?approve=all", life.broken, at=step)
        life.node.start()
        wait_until(lambda: life.state() not in ON_THE_WAY, seconds=150, what="the way back")
        detail = life.detail()
        assert detail and (detail["version"], detail["state"]) == ("1.0.0", "RUNNING")
        assert "2.0.1 did not work and was taken back" in detail["error"] and "broken" in detail["error"]
        assert life.data() == {"1.0.0"}
        life.works(step)


@pytest.mark.timeout(300)
def test_a_removal_killed_at_any_step_goes_on(life: Life) -> None:
    life.install(life.first)
    life.works("before")
    seen: list[str] = []
    for step in life.killed("DELETE", "/apps/keeper?forget=true"):
        seen.append(step)
        wait_until(lambda: life.detail() is None, what=f"the removal killed at {step}")
        assert not (life.node.data / "apps" / "keeper").exists()
        life.install(life.first)
        assert (life.notes(), life.count("begin"), life.count("echo")) == ([], 1, 0), f"killed at {step}"
        life.works(step)
    assert {"remove", "stop", "forget", "delete"} <= set(seen)
