"""Notices of a real node: raised by what fails, listed, dismissed, ended, and neither doubled nor stuck after kill -9."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from core.people.notice.notices import OVER_SECONDS
from tests.integration.node.diary import WRITE, diary
from tests.node_process import NodeProcess, wait_until
from tests.waiting import PATIENCE

HISTORY = 'query($id: ID!) { nodeHistory(type: "Core_Notice", id: $id) { kind } }'
QUERY = "{ queryCore_Notice { id kind about text severity endedAt dismissedAt } }"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node with an app one run of which has failed."""
    folder = tmp_path_factory.mktemp("notices")
    with NodeProcess(folder / "node") as node:
        wait_until(lambda: "Nothing needs you." in node.cli("notices").stderr, what="a node without notices")
        node.install_archive(diary(folder / "diary"))
        node.graphql(WRITE, {"text": "smudged"})
        wait_until(lambda: of_diary(recorded(node)), what="the notice")
        yield node


def notices(node: NodeProcess, *options: str) -> list[dict[str, Any]]:
    return of_diary(node.json("notices", *options, "--json"))


def of_diary(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The notice of the failed runs: a busy machine may have others, which come and go."""
    return [one for one in found if (one["kind"], one["about"]) == ("runs-failed", "app:diary")]


def texts(node: NodeProcess) -> list[str]:
    return [one["text"] for one in notices(node)]


def recorded(node: NodeProcess) -> list[dict[str, Any]]:
    return node.graphql(QUERY)["queryCore_Notice"]


def test_a_failure_is_one_notice_that_every_way_shows(cloud: NodeProcess) -> None:
    (shown,) = notices(cloud)
    assert shown["severity"] == "warning"
    assert shown["text"] == "One run of Diary failed." and "pcloud runs" in shown["advice"]
    (node,) = of_diary(recorded(cloud))
    assert (node["id"], node["text"], node["endedAt"], node["dismissedAt"]) == (shown["id"], shown["text"], None, None)
    assert re.search(r"[1-9] notices?: `pcloud notices`", cloud.cli("status").stdout)
    listed = cloud.cli("notices").stdout
    assert "One run of Diary failed." in listed and shown["id"][:8] in listed


def test_a_notice_of_a_killed_node_is_not_doubled(cloud: NodeProcess) -> None:
    cloud.graphql(WRITE, {"text": "smudged again"})
    wait_until(lambda: texts(cloud) == ["2 runs of Diary failed."], what="the count that grows")
    (before,) = notices(cloud)
    cloud.kill()
    cloud.start()
    wait_until(lambda: cloud.status()["runs"]["FAILED"] == 2, what="the runs")
    wait_until(lambda: notices(cloud) == [before], what="the same notice")
    assert cloud.graphql(HISTORY, {"id": before["id"]})["nodeHistory"] == [{"kind": "created"}]


def test_a_dismissed_notice_is_off_the_list_until_it_is_put_back(cloud: NodeProcess) -> None:
    (shown,) = notices(cloud)
    cloud.cli("notices", "dismiss", shown["id"][:6])
    assert notices(cloud) == []
    assert notices(cloud, "--all")[0]["dismissed"] > 0
    assert "dismissed" in cloud.cli("notices", "--all").stdout
    cloud.kill()
    cloud.start()
    assert notices(cloud) == []
    cloud.cli("notices", "restore", shown["id"])
    assert [one["id"] for one in notices(cloud)] == [shown["id"]]
    assert cloud.cli("notices", "dismiss", "none", check=False).returncode == 3


@pytest.mark.long
def test_a_notice_ends_by_itself_when_its_reason_is_gone(cloud: NodeProcess) -> None:
    cloud.cli("runs", "dismiss", "--all")
    wait_until(lambda: notices(cloud) == [], seconds=OVER_SECONDS + PATIENCE, what="the end of the notice")
    assert notices(cloud, "--all")[0]["ended"] > 0
