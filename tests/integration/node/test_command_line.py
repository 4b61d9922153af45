"""The command line against a running node: facts on standard output, words on standard error, exit codes for scripts."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.node_process import ROOT, NodeProcess, wait_until


def test_facts_are_on_standard_output_and_fit_a_terminal(cloud: NodeProcess) -> None:
    for words in (["status"], ["app", "list"], ["runs"], ["device", "list"]):
        result = cloud.cli(*words)
        assert result.stdout and result.stderr == ""
        headline = result.stdout.splitlines()[0]
        assert len(headline) <= 80 or words == ["status"]


def test_status_tells_the_node_its_views_and_its_apps(cloud: NodeProcess) -> None:
    said = cloud.cli("status").stdout
    assert cloud.address in said and "image-importer 1.1.0 RUNNING" in said and "FAILED" in said
    assert len(re.findall(r"^view ", said, re.MULTILINE)) == 4
    facts = cloud.json("status", "--json")
    assert (
        facts["address"] == cloud.address
        and set(facts["views"]) == {"directory", "graph", "search", "runs"}
        and facts["problem"] == ""
    )


def test_an_app_is_shown_with_the_reason_why_it_is_not_ready(cloud: NodeProcess) -> None:
    def weeds() -> set[int]:
        assert cloud.process
        below = psutil.Process(cloud.process.pid).children(recursive=True)
        return {process.pid for process in below if name_of(process) == "weed"}

    def store() -> dict[str, Any]:
        return next(app for app in cloud.graphql("{ apps }")["apps"] if app["name"] == "object-store")

    assert (store()["process"], store()["reason"]) == ("running", "")
    [weed] = weeds()
    os.kill(weed, signal.SIGKILL)
    [again] = wait_until(lambda: weeds() - {weed}, what="the next SeaweedFS")
    os.kill(again, signal.SIGSTOP)
    try:
        reason = wait_until(lambda: store()["reason"], what="the reason")
        assert reason == "SeaweedFS ended with -9 and is starting again" and store()["process"] == "not-ready"
        said = cloud.cli("app", "list").stdout
        assert "not-ready" in said and reason in said
    finally:
        os.kill(again, signal.SIGCONT)
    wait_until(lambda: store()["process"] == "running", what="a store that is ready again")


def name_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):  # it has ended
        return process.name()
    return ""


def test_a_run_is_listed_with_what_it_is_about(cloud: NodeProcess) -> None:
    done = cloud.json("runs", "--state", "done", "--app", "image-importer", "--first", "1", "--json")
    assert len(done) == 1
    said = cloud.cli("runs", "--app", "image-importer").stdout
    assert done[0]["id"][:12] in said and "key=cat.jpg" in said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["graph", "query", "{ nonsense }"], 2),
        (["graph", "history", "missing/Type/x"], 2),
        (["runs", "retry", "zzz"], 3),
        (["runs", "--app", "missing"], 3),
        (["runs", "--app", "missing", "--state", "done", "--json"], 3),
        (["audit", "--app", "missing"], 3),
        (["app", "logs", "missing"], 3),
        (["app", "logs", "../../x"], 3),
        (["app", "remove", "missing", "--yes"], 3),
        (["device", "revoke", "missing"], 3),
        (["device", "revoke", "a/b?c"], 2),
        (["call", "missing/action"], 3),
        (["call", "object-store/usage", "bucket"], 2),
        (["call", "object-store/usage", "nonsense=1"], 2),
        (["replay", "missing/trigger"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_has_its_exit_code_and_one_sentence(
    cloud: NodeProcess, words: list[str], code: int
) -> None:
    result = cloud.cli(*words, check=False)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("error: ") and len(result.stderr.splitlines()) == 1


def test_a_query_and_a_call_print_json(cloud: NodeProcess) -> None:
    counted = cloud.json("graph", "query", "{ aggregateImageImporter_Image { count } }")
    assert counted["aggregateImageImporter_Image"]["count"] >= 2
    usage = cloud.json("call", "object-store/usage", "bucket=images")
    assert json.dumps(usage).startswith("{")


def test_the_history_of_an_entity_is_shown(cloud: NodeProcess) -> None:
    id = cloud.graphql("{ queryImageImporter_Image { id } }")["queryImageImporter_Image"][0]["id"]
    assert "created by image-importer" in cloud.cli("graph", "history", f"image-importer/Image/{id}").stdout
    entries = cloud.json("graph", "history", f"image-importer/Image/{id}", "--json")
    assert entries[0]["kind"] in ("created", "updated")


def test_the_schema_is_printed_as_the_owner_and_as_an_app_sees_it(cloud: NodeProcess) -> None:
    assert "type ImageImporter_Image " in cloud.cli("graph", "schema").stdout
    own = cloud.cli("graph", "schema", "--app", "image-importer").stdout
    assert "type Image " in own and "ImageImporter_Image" not in own
    assert "__schema" in cloud.json("graph", "schema", "--json")


def test_installing_asks_for_each_grant_and_needs_an_answer(cloud: NodeProcess) -> None:
    result = cloud.cli("app", "install", str(ROOT / "apps" / "photos"), check=False)
    assert result.returncode == 2 and "allow?" in result.stderr and "--yes" in result.stderr
    assert "photos" not in {app["name"] for app in cloud.json("app", "list", "--json")}


def test_packing_gives_the_same_bytes_each_time_and_says_which(cloud: NodeProcess, tmp_path: Path) -> None:
    one, other = tmp_path / "1.tar.gz", tmp_path / "2.tar.gz"
    facts = cloud.json("app", "pack", str(ROOT / "apps" / "random-puppy"), "--to", str(one), "--json")
    cloud.cli("app", "pack", str(ROOT / "apps" / "random-puppy"), "--to", str(other))
    assert one.read_bytes() == other.read_bytes() and facts["bytes"] == one.stat().st_size
    assert (
        cloud.cli("app", "pack", str(ROOT / "apps" / "random-puppy"), "--to", "/nonexistent/x", check=False).returncode
        == 2
    )


def test_a_sign_in_link_is_one_line(cloud: NodeProcess) -> None:
    assert re.fullmatch(re.escape(cloud.address) + r"/signin\?code=[\w.-]+\n", cloud.cli("signin-link").stdout)
    assert cloud.json("signin-link", "--json")["link"].startswith(cloud.address)
    private = cloud.status()["private_address"]
    assert cloud.cli("signin-link", "--private").stdout.startswith(f"{private}/signin?code=")


def test_the_graph_is_verified(cloud: NodeProcess) -> None:
    assert cloud.json("graph", "verify", "--json")["equal"] is True
    assert "equal" in cloud.cli("graph", "verify").stdout
