"""A whole node rebuilds its views while clients read and write, goes back, undoes a change, and repairs damage."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from core.apps.archive.pack import packed
from core.cli.client import open_client
from eventstore import ConnectionSettings, Transaction, open_store
from eventstore.settings import Credentials
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from tests.crashes.quick_node import QuickNode
from tests.node_process import NodeProcess, wait_until

COUNT = 20_000  # enough to make a reading process worth its start
AT_ONCE = 1_000
SCHEMA = """
type Note { text: String! @search(by: [term, exact]) stars: Int @search(by: [int]) topic: Topic @hasInverse(field: notes) }
type Topic { name: String! @id @search(by: [exact]) notes: [Note!] @hasInverse(field: topic) }
"""
MANIFEST = "name: notes\nversion: 1.0.0\nschema: schema.graphql\n"
ADD = "mutation($input: [AddNotes_NoteInput!]!) { addNotes_Note(input: $input) { count notes_Note { id text } } }"
GET = "query($id: ID!) { getNotes_Note(id: $id) { text topic { name } } }"
SEARCH = "query($text: String!) { search(text: $text) { total } }"
MEMORY = 150 * 2**20  # a rebuild must not take more than this


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("rebuild")
    app = folder / "notes"
    app.mkdir()
    (app / "app.yaml").write_text(MANIFEST)
    (app / "schema.graphql").write_text(SCHEMA)
    with QuickNode(folder / "node", "--unconfined") as node:
        node.install_archive(packed(app).data, unconfined=True)
        asyncio.run(fill(node))
        yield node


async def fill(node: NodeProcess) -> None:
    """Append directly to its log, as another node of its cluster would; it folds from there."""
    async with open_client(node.data) as client:
        found = await client.ask("GET", "/nats?write=true")
    known = Credentials(found["NATS_USER"], found["NATS_PASSWORD"])
    made = [
        Event(Ref("notes", "Topic", f"t{number}"), Kind.CREATED, Change(set={"name": f"topic {number}"}))
        for number in range(50)
    ]
    for number in range(COUNT):
        change = Change(set={"text": f"note {number}", "stars": number % 5}, link={"topic": [f"t{number % 50}"]})
        made.append(Event(Ref("notes", "Note", f"n{number}"), Kind.CREATED, change))
    async with open_store(ConnectionSettings(found["NATS_URL"], known)) as store:
        for start in range(0, len(made), AT_ONCE):
            await store.append(Transaction(new_id(), tuple(made[start : start + AT_ONCE]), "owner"))


class Clients:
    """One client writes and reads its writes, one reads and searches; every failed answer is recorded."""

    def __init__(self, node: NodeProcess) -> None:
        self._node, self._stop = node, threading.Event()
        self.failures: list[str] = []
        self.written, self.read = 0, 0
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._write, self._read)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Any) -> None:
        async def loop() -> None:
            async with open_client(self._node.data) as client:
                while not self._stop.is_set():
                    try:
                        await work(client)
                    except Exception as error:
                        self.failures.append(repr(error))

        asyncio.run(loop())

    async def _write(self, client: Any) -> None:
        text = f"meanwhile {self.written}"
        added = await client.graphql(ADD, {"input": [{"text": text, "topic": {"name": "meanwhile"}}]})
        (note,) = added["addNotes_Note"]["notes_Note"]
        found = await client.graphql(GET, {"id": note["id"]})
        assert found["getNotes_Note"] == {"text": text, "topic": {"name": "meanwhile"}}, found
        self.written += 1

    async def _read(self, client: Any) -> None:
        page = await client.graphql("{ queryNotes_Note(filter: {stars: {eq: 3}}, first: 50) { text topic { name } } }")
        assert len(page["queryNotes_Note"]) == 50
        found = await client.graphql(SEARCH, {"text": "note"})
        assert found["search"]["total"] > 1_000
        self.read += 1


def memory(node: NodeProcess) -> int:
    assert node.process
    return psutil.Process(node.process.pid).memory_info().rss


def test_rebuild_disturbs_no_client(node: NodeProcess) -> None:
    before = memory(node)
    with Clients(node) as clients:
        graph = node.json("graph", "rebuild", "--json")
        search = node.json("graph", "rebuild", "--view", "search", "--json")
        back = node.json("graph", "rebuild", "--back", "--json")
    assert clients.failures == []
    assert clients.written > 10 and clients.read > 10
    assert (graph["version"], graph["previous"]) == ("sqlite-2", "sqlite-1")
    assert graph["events"] >= COUNT
    assert (search["version"], back["version"]) == ("tantivy-2", "sqlite-1")
    assert memory(node) - before < MEMORY
    verified = node.json("graph", "verify", "--json")
    assert verified["equal"], verified
    again = node.cli("graph", "rebuild", "--back")
    assert "the graph is on sqlite-2 now" in again.stdout and "--back` returns to sqlite-1" in again.stdout


def test_a_change_is_taken_back_from_the_command_line(node: NodeProcess) -> None:
    (note,) = node.graphql(ADD, {"input": [{"text": "by mistake"}]})["addNotes_Note"]["notes_Note"]
    told = node.cli("graph", "history", f"notes/Note/{note['id']}").stdout
    (entry,) = node.json("graph", "history", f"notes/Note/{note['id']}", "--json")
    assert "created by you" in told and entry["tx"] in told
    assert node.json("undo", entry["tx"], "--json")["entities"] == 1
    assert node.graphql(GET, {"id": note["id"]})["getNotes_Note"] is None
    assert "already undone" in node.cli("undo", entry["tx"]).stdout
    as_of = "query($id: ID!, $at: String) { getNotes_Note(id: $id, asOf: $at) { text } }"
    then = node.graphql(as_of, {"id": note["id"], "at": entry["revision"]})
    assert then["getNotes_Note"] == {"text": "by mistake"}


def test_foreign_change_is_named_and_damage_is_repaired(node: NodeProcess) -> None:
    (note,) = node.graphql(ADD, {"input": [{"text": "as it is"}]})["addNotes_Note"]["notes_Note"]
    folder = node.data / "graph"
    current = json.loads((folder / "versions.json").read_text())["current"]
    file = folder / ("graph.sqlite" if current == "sqlite-1" else f"graph-{current.rpartition('-')[2]}.sqlite")
    with sqlite3.connect(file) as other:
        other.execute('UPDATE "notes/^Note" SET "text" = ? WHERE id = ?', ("as it is not", note["id"]))
    other.close()
    verified = node.cli("graph", "verify", check=False)
    assert verified.returncode == 7
    for words in (
        f"notes/Note/{note['id']} text",
        '"as it is not" in the graph',
        '"as it is" by the log',
        "graph rebuild",
    ):
        assert words in verified.stderr.replace("\n", " "), verified.stderr
    assert node.json("graph", "rebuild", "--json")["previous"] == current
    assert node.json("graph", "verify", "--json")["equal"]
    node.stop()
    told, before = len(node.log.read_text()), json.loads((folder / "versions.json").read_text())["current"]
    named = "graph.sqlite" if before == "sqlite-1" else f"graph-{before.rpartition('-')[2]}.sqlite"
    for path in [
        *folder.glob("*.sqlite"),
        *(node.data / "search").glob("index-*/*.store"),
        node.data / "runs" / "runs.sqlite",
    ]:
        data = bytearray(path.read_bytes())
        middle = len(data) // 2 // 4096 * 4096
        data[middle : middle + 4096] = b"\x5a" * len(data[middle : middle + 4096])
        path.write_bytes(data)
    node.start()
    assert node.graphql(GET, {"id": note["id"]})["getNotes_Note"]["text"] == "as it is"
    assert node.json("graph", "verify", "--json")["equal"]
    logged = [line for line in node.log.read_text()[told:].splitlines() if "damaged" in line]
    for view in (named, "search/index-", "runs.sqlite"):
        assert any(view in line for line in logged), f"nothing says that {view} was damaged: {logged}"


def test_stopped_node_continues_a_rebuild_at_its_next_start(node: NodeProcess) -> None:
    names = node.data / "graph" / "versions.json"

    def named() -> dict[str, str]:
        return json.loads(names.read_text())

    before = named()["current"]
    ended: list[int] = []
    waiting = threading.Thread(target=lambda: ended.append(node.cli("graph", "rebuild", check=False).returncode))
    waiting.start()
    building = wait_until(lambda: named()["building"], what="the rebuild")
    node.stop()
    waiting.join()
    assert (named()["current"], named()["building"], ended) == (before, building, [6])
    node.start()
    wait_until(lambda: named()["current"] == building, what="the rebuild's end")
    assert node.json("graph", "verify", "--json")["equal"]
