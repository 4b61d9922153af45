"""kill -9 of the node at every step of an app's life: after a restart the operation continues to its end, or the app is as before, and
nothing was done twice.

The steps are not listed here: the node reports them, one after the other, while it installs, upgrades, rolls back or
removes a small app. The node is killed when it has reported the first step, at the next attempt the second step, and so on.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.apps import packed
from core.cli.client import Client, open_client
from pcloud.errors import NotFound, PCloudError, Unavailable
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
        """Do it, and return the reported steps. The node is killed once `kill` steps, or the step `at`, have been reported."""
        told: list[str] = []

        async def work(client: Client) -> None:
            try:
                async for record in client.lines(method, path, data=data):
                    if "step" in record:
                        told.append(record["step"])
                        if len(told) - 1 == kill or record["step"] == at:
                            self.node.kill()
                            return  # steps that it had reported beyond that are still arriving
            except PCloudError:
                if kill < 0 and not at:
                    raise
            except Exception:  # the connection went with the node
                assert kill >= 0 or at

        self._ask(work)
        return told

    def killed(self, method: str, path: str, data: Callable[[], bytes | None] = lambda: None) -> Iterator[str]:
        """Do it again and again, each time killed a step later, until it completes; each time restarted, and settled. The caller
        returns the app to its first state between two rounds."""
        number = 0
        while True:
            told = self.do(method, path, data(), kill=number)
            assert self.node.process
            if self.node.process.poll() is None:
                assert number > 0, "no step was reported"
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
        """The version of the running app, '' if the app is not installed; fails if it is installed and does not run."""
        detail = self.detail()
        assert detail is None or detail["state"] == "RUNNING", detail
        return detail["version"] if detail else ""

    def count(self, kind: str) -> int:
        return sum(entry["kind"] == kind for entry in self.node.graphql(ENTRIES)["queryKeeper_Entry"])

    def works(self, text: str) -> None:
        """Check that it takes calls, that its trigger runs, and that each note has exactly one echo."""
        wait_until(lambda: self.call("keeper/note", {"text": text}), what="a call")
        notes, echoes = wait_until(self.echoed, what="the echo of a note")
        assert echoes == notes

    def echoed(self) -> tuple[list[str], list[str]] | None:
        """Return the notes, and the note of each echo; None while a note lacks its echo."""
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
