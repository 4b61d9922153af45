"""A node whose graph is on a Neo4j server: the same answers, and what continues while the server is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import pytest

from core.apps import packed
from pcloud.errors import Unavailable
from tests.neo4j_server import Neo4jServer
from tests.node_process import NodeProcess, wait_until

JOTTER = Path(__file__).parent / "jotter"
NOTES = "{ queryJotter_Note(order: {asc: text}) { text stars topic { name notes { text } } } }"
ADD = "mutation($text: String!) { addJotter_Note(input: [{text: $text, stars: 3}]) { jotter_Note { text stars } } }"
AT_ONCE = 2.0  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    """A server for this file alone, because it is killed."""
    server = Neo4jServer(tmp_path_factory.mktemp("neo4j"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cloud(server: Neo4jServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("cloud")
    password = folder / "password"
    password.write_text(server.password + "\n")
    address = server.address.replace("bolt://", "neo4j://neo4j@")
    with NodeProcess(folder / "node", "--graph", address, "--graph-password-file", str(password)) as node:
        node.install_archive(packed(JOTTER).data, unconfined=True)
        yield node


def texts(node: NodeProcess) -> list[str]:
    return [row["text"] for row in node.graphql(NOTES)["queryJotter_Note"]]


def answers(node: NodeProcess) -> bool:
    try:
        texts(node)
    except Unavailable:
        return False
    return True


def call(node: NodeProcess, action: str, **args: Any) -> Any:
    query = 'mutation($action: String!, $args: JSON) { callAction(app: "jotter", action: $action, args: $args) }'
    return node.graphql(query, {"action": action, "args": args})["callAction"]


def test_the_graph_on_a_server_answers_as_the_embedded_one(cloud: NodeProcess) -> None:
    cloud.graphql('mutation { addJotter_Topic(input: [{name: "sea"}]) { jotter_Topic { name } } }')
    added = cloud.graphql(
        "mutation($notes: [AddJotter_NoteInput!]!) { addJotter_Note(input: $notes) { jotter_Note { text topic { name } } } }",
        {"notes": [{"text": "waves", "topic": {"name": "sea"}}, {"text": "hills", "stars": 2}]},
    )["addJotter_Note"]["jotter_Note"]
    assert sorted(note["text"] for note in added) == ["hills", "waves"]
    assert cloud.graphql(NOTES)["queryJotter_Note"] == [
        {"text": "hills", "stars": 2, "topic": None},
        {"text": "waves", "stars": None, "topic": {"name": "sea", "notes": [{"text": "waves"}]}},
    ]
    assert cloud.graphql("{ aggregateJotter_Note { count } }")["aggregateJotter_Note"]["count"] == 2
    assert cloud.json("graph", "verify", "--json")["equal"] is True


def test_while_the_server_is_away_the_rest_goes_on(cloud: NodeProcess, server: Neo4jServer) -> None:
    before, events = texts(cloud), cloud.status()["events"]
    server.kill()
    for query, variables in ((NOTES, {}), (ADD, {"text": "lost"}), (ADD, {"text": "lost again"})):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="nothing is lost"):
            cloud.graphql(query, variables)
        assert time.monotonic() - began < AT_ONCE
    assert cloud.status()["events"] - events <= 1, "the notice that the server is away, and nothing else"
    assert "away" in cloud.status()["problem"]

    began = time.monotonic()
    assert cloud.graphql("{ queryCore_App { id state } }")["queryCore_App"] == [{"id": "jotter", "state": "RUNNING"}]
    assert cloud.json("device", "pair", "--name", "phone", "--metrics", "--json")["token"]
    assert call(cloud, "greet", name="Ada") == "hello Ada"
    call(cloud, "jot-later", text="sent meanwhile")
    assert time.monotonic() - began < 15  # nothing of it waits for the server

    server.start()
    wait_until(lambda: answers(cloud), what="the graph's return")
    wait_until(lambda: "sent meanwhile" in texts(cloud), what="the durable call")
    assert sorted([*before, "sent meanwhile"]) == texts(cloud)
    assert cloud.graphql(ADD, {"text": "after"})["addJotter_Note"]["jotter_Note"] == [{"text": "after", "stars": 3}]
    assert cloud.json("graph", "verify", "--json")["equal"] is True


def test_a_node_starts_while_the_server_is_away_and_catches_up(cloud: NodeProcess, server: Neo4jServer) -> None:
    before = texts(cloud)
    server.kill()
    cloud.stop()
    cloud.start()
    with pytest.raises(Unavailable):
        texts(cloud)
    assert call(cloud, "greet", name="Bob") == "hello Bob"
    server.start()
    wait_until(lambda: answers(cloud), what="the graph's return")
    assert texts(cloud) == before
    assert cloud.json("graph", "verify", "--json")["equal"] is True


def test_a_graph_moves_to_the_server_and_back_while_it_answers(cloud: NodeProcess) -> None:
    before = cloud.graphql(NOTES)
    cloud.cli("graph", "rebuild", "--to", "sqlite")
    assert cloud.graphql(NOTES) == before
    cloud.cli("graph", "rebuild", "--to", "neo4j")
    assert cloud.graphql(NOTES) == before
    assert cloud.json("graph", "verify", "--json")["equal"] is True


def test_the_server_holds_nothing_of_core_s_own(cloud: NodeProcess, server: Neo4jServer) -> None:
    with neo4j.GraphDatabase.driver(server.address, auth=("neo4j", server.password)) as driver:
        labels = {record["label"] for record in driver.execute_query("CALL db.labels()").records}
    assert any("jotter/Note" in label for label in labels)
    assert not [label for label in labels if "core/" in label]
    assert cloud.status()["views"]["directory"]["lag"] == 0


def test_a_node_starts_without_the_server_that_its_graph_was_on(cloud: NodeProcess) -> None:
    before = texts(cloud)
    cloud.stop()
    cloud.arguments = ()
    cloud.start()
    assert texts(cloud) == before
    assert "in a store that this node doesn't have" in cloud.log.read_text()
    refused = cloud.cli("graph", "rebuild", "--view", "directory", check=False)
    assert refused.returncode and "use one of graph, search" in refused.stderr.replace("\n", " ")
    assert cloud.json("graph", "verify", "--json")["equal"] is True
