"""Attacks by endless writing to the graph, whose log keeps everything."""

from __future__ import annotations

from typing import Any

import pytest

from pcloud.errors import PCloudError
from tests.attacks.conftest import Cloud
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")
MIB = 2**20
RESOURCES = "resources: {memory: 268435456, processes: 48, disk: 67108864}"


def write(mebibytes: int, key: str) -> dict[str, Any]:
    """Write notes of 64 KiB up to a total size, or until one is refused."""
    from attacker.door import ask

    query = "mutation ($text: String) { addNote(input: [{text: $text}]) { note { id } } }"
    said: dict[str, Any] = {"written": 0, "error": None, "ids": []}
    while said["written"] < mebibytes * 2**20:
        text = f"{key} {len(said['ids'])} " + "x" * 2**16
        _, answer = ask("POST", "/graphql", {"query": query, "variables": {"text": text}})
        if "errors" in answer:
            said["error"] = answer["errors"][0]
            break
        said["ids"] += [one["id"] for one in answer["data"]["addNote"]["note"]]
        said["written"] += len(text)
    return said


def delete(ids: list[str]) -> Any:
    from attacker.door import ask

    query = "mutation ($ids: [ID!]) { deleteNote(filter: {id: $ids}) { count } }"
    return ask("POST", "/graphql", {"query": query, "variables": {"ids": ids}})[1]


def bounded(cloud: Cloud, name: str) -> bytes:
    return cloud.installed(name, **{RESOURCES: RESOURCES.replace("}", ", graph: 4194304}")})


def detail(cloud: Cloud, app: str) -> dict[str, Any]:
    return cloud._with_client(lambda client: client.ask("GET", f"/apps/{app}"))


def test_attack_by_writing_without_end_ends_at_the_graph_quota(cloud: Cloud) -> None:
    cloud.install_archive(bounded(cloud, "scribe"))
    said = cloud.attack(write, 8, "first", app="scribe")
    assert said["written"] < 4 * MIB and said["error"]["extensions"]["code"] == "UNAVAILABLE"
    assert "pcloud app limits scribe --graph" in said["error"]["message"]
    assert cloud.audited(app="scribe", kind="limit", target="graph")["actor"] == "app:scribe"
    shown = detail(cloud, "scribe")
    assert "graph" in shown["error"] and shown["state"] == "RUNNING"
    assert 3 * MIB < shown["used"]["graph"] <= shown["limits"]["graph"] == 4 * MIB
    assert "errors" not in cloud.attack(delete, said["ids"][:5], app="scribe"), "what it wrote can be deleted"
    again = cloud.attack(write, 8, "again", app="scribe")
    assert again["written"] == 0 and again["error"], "what is deleted stays in the log"


def test_attack_by_a_page_that_writes_counts_for_its_app(cloud: Cloud) -> None:
    """What its page does with the owner's session counts for the app."""
    cloud.install_archive(bounded(cloud, "pager"))
    query = "mutation ($text: String) { addNote(input: [{text: $text}]) { note { id } } }"
    written = 0
    with pytest.raises(PCloudError, match="pcloud app limits pager --graph"):
        for number in range(100):
            cloud.graphql(query, {"text": f"{number}" + "x" * 2**16}, app="pager")
            written += 2**16
    assert 3 * MIB < written <= detail(cloud, "pager")["used"]["graph"] <= 4 * MIB


def test_attack_by_killing_the_node_brings_no_room_back(cloud: Cloud) -> None:
    before = detail(cloud, "scribe")["used"]["graph"]
    cloud.kill()
    cloud.start()
    wait_until(lambda: detail(cloud, "scribe")["process"] == "running", what="the app's start")
    assert detail(cloud, "scribe")["used"]["graph"] == before
    assert cloud.attack(write, 1, "killed", app="scribe")["error"]
    cloud.cli("app", "limits", "scribe", "--graph", "6MiB")
    said = cloud.attack(write, 8, "raised", app="scribe")
    assert MIB < said["written"] < 2.5 * MIB, "more room holds at once, and no more than that"


def test_attack_by_coming_back_after_forgetting_begins_at_nothing(cloud: Cloud) -> None:
    """Forgetting gives bytes back; removing alone does not."""
    cloud.cli("app", "remove", "scribe", "--yes")
    cloud.install_archive(bounded(cloud, "scribe"))
    assert detail(cloud, "scribe")["used"]["graph"] > 4 * MIB
    cloud.cli("app", "remove", "scribe", "--forget", "--yes")
    cloud.install_archive(bounded(cloud, "scribe"))
    wait_until(lambda: detail(cloud, "scribe")["used"]["graph"] == 0, what="the forgotten bytes")
