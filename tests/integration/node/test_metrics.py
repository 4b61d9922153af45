"""What Prometheus reads from a node, with which credentials, and that those open nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.apps import packed
from core.front.metrics.facts import Facts
from core.front.metrics.families import families
from core.front.metrics.meters import Meters
from tests.node_process import ROOT, NodeProcess, wait_until

Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(scope="module")
def watcher(cloud: NodeProcess) -> dict[str, str]:
    return cloud.json("device", "pair", "--metrics", "--name", "prometheus", "--json")


@dataclass
class Answer:
    status: int
    text: str
    headers: Message


def get(url: str, token: str = "", *, body: Any = None, **headers: str) -> Answer:
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urlopen(request, timeout=20) as answer:
            return Answer(answer.status, answer.read().decode(), answer.headers)
    except HTTPError as error:
        return Answer(error.code, error.read().decode(), error.headers)


def samples(text: str) -> dict[Sample, float]:
    found = text_string_to_metric_families(text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in found for one in family.samples}


def value(read: dict[Sample, float], name: str, **labels: str) -> float:
    return read[name, tuple(sorted(labels.items()))]


def test_metrics_need_credentials(cloud: NodeProcess) -> None:
    for token in ("", "metrics_wrong", "owner_wrong"):
        answer = get(f"{cloud.address}/metrics", token)
        assert answer.status == 401
        assert "pcloud_" not in answer.text


def test_a_metrics_token_opens_the_metrics_and_nothing_else(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    assert watcher["metrics"] == f"{cloud.address}/metrics"
    assert get(watcher["metrics"], watcher["token"]).status == 200
    for path in ("/graphql", "/", "/graphql/photos", "/console", "/status"):
        assert get(f"{cloud.address}{path}", watcher["token"]).status == 401
    body = {"query": "{ queryCore_App { name } }"}
    assert get(f"{cloud.address}/graphql", watcher["token"], body=body).status == 401


def test_the_owners_and_a_devices_token_read_metrics_too(cloud: NodeProcess) -> None:
    device = cloud.device["token"]  # type: ignore[attr-defined]
    for token in (cloud.token, device):
        assert get(f"{cloud.address}/metrics", token).status == 200


def test_a_revoked_metrics_token_reads_nothing_more(cloud: NodeProcess) -> None:
    watcher = cloud.json("device", "pair", "--metrics", "--name", "old", "--json")
    assert get(watcher["metrics"], watcher["token"]).status == 200
    cloud.cli("device", "revoke", watcher["id"])
    assert get(watcher["metrics"], watcher["token"]).status == 401
    assert "metrics" in cloud.cli("device", "list").stdout


def test_the_metrics_are_what_happened(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    def read() -> dict[Sample, float]:
        return samples(get(watcher["metrics"], watcher["token"]).text)

    before = read()
    status = cloud.status()
    for app in ("object-store", "image-importer"):
        assert value(before, "pcloud_app_up", app=app) == 1
        assert value(before, "pcloud_app_memory_bytes", app=app) > 2**20
        assert value(before, "pcloud_app_restarts_total", app=app) == 0
        assert value(before, "pcloud_app_log_lines_dropped_total", app=app) == 0
    assert value(before, "pcloud_log_up") == value(before, "pcloud_takes_writes") == 1
    assert (
        value(before, "pcloud_log_sequence")
        == value(before, "pcloud_stream_messages", stream="GRAPH")
        == status["events"]
    )
    assert value(before, "pcloud_stream_bytes", stream="GRAPH") > 1000
    assert value(before, "pcloud_nats_memory_bytes") > 2**20
    assert 0 < value(before, "pcloud_disk_free_bytes") < value(before, "pcloud_disk_total_bytes")
    assert value(before, "pcloud_calls_total", app="image-importer", outcome="OK") >= 2
    assert value(before, "pcloud_call_seconds_count", app="image-importer") >= 3
    assert value(before, "pcloud_events_written_total", writer="image-importer") >= 2
    assert value(before, "pcloud_work_pending", app="image-importer") == 0
    states = {state: sum(n for (name, labels), n in before.items() if name == "pcloud_runs" and ("state", state) in labels)
              for state in ("DONE", "FAILED")}  # fmt: skip
    assert states == {state: status["runs"][state] for state in states}
    change = 'mutation { updateImageImporter_Image(input: {filter: {}, set: {lens: "metric"}}) { count } }'
    changed = cloud.graphql(change)["updateImageImporter_Image"]["count"]
    after = read()
    assert value(after, "pcloud_append_seconds_count") == value(before, "pcloud_append_seconds_count") + 1
    assert value(after, "pcloud_appends_total", outcome="OK") == value(before, "pcloud_appends_total", outcome="OK") + 1
    assert (
        value(after, "pcloud_events_written_total", writer="person")
        == value(before, "pcloud_events_written_total", writer="person") + changed
    )
    assert value(after, "pcloud_append_seconds_sum") > value(before, "pcloud_append_seconds_sum")


def test_a_views_lag_is_reported_until_it_ends(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    def lags() -> list[float]:
        read = samples(get(watcher["metrics"], watcher["token"]).text)
        return [value(read, "pcloud_view_lag_events", view=view) for view in ("graph", "search", "runs")]

    wait_until(lambda: lags() == [0, 0, 0], what="all views being up to date")


def test_openmetrics_is_answered_to_who_asks_for_it(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    answer = get(watcher["metrics"], watcher["token"], Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_pcloud_metrics_shows_them_on_the_terminal(cloud: NodeProcess) -> None:
    shown = cloud.cli("metrics", "view_lag_events").stdout
    assert 'pcloud_view_lag_events{view="graph"}' in shown and "disk" not in shown


def test_no_label_holds_an_id_or_a_person(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    read = samples(get(watcher["metrics"], watcher["token"]).text)
    allowed = {"app", "trigger", "side", "state", "stream", "view", "outcome", "kind", "writer", "direction", "le"}
    for name, labels in read:
        if name.startswith("pcloud_"):
            assert {label for label, _ in labels} <= allowed, name
            assert not [text for _, text in labels if re.search(r"[0-9a-f]{8}", text)], (name, labels)


def test_every_metric_is_described_in_the_how_to() -> None:
    page = (ROOT / "docs" / "how-to" / "watch-a-node.md").read_text()
    told: list[Any] = [*families(Facts()), *Meters().collect()]
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in told}
    ours = {name for name in names if name.startswith("pcloud_")}
    assert len(ours) >= 25
    assert {name for name in ours if f"`{name}`" not in page} == set()
    assert set(re.findall(r"`(pcloud_\w+)`", page)) <= ours


def test_an_app_with_nothing_to_run_is_not_shown_as_down(
    cloud: NodeProcess, watcher: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.yaml").write_text("name: plain\nversion: 1.0.0\n")
    cloud.install_archive(packed(tmp_path).data)
    read = samples(get(watcher["metrics"], watcher["token"]).text)
    up = {dict(labels)["app"]: number for (name, labels), number in read.items() if name == "pcloud_app_up"}
    assert up == {"object-store": 1, "image-importer": 1}


def test_a_scrape_is_answered_while_the_logs_server_is_not(cloud: NodeProcess, watcher: dict[str, str]) -> None:
    (server,) = [pid for pid in cloud.children() if psutil.Process(pid).name() == "nats-server"]
    os.kill(server, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(server).status() == psutil.STATUS_STOPPED, what="the end of its last steps")
    try:
        read = samples(get(watcher["metrics"], watcher["token"]).text)
    finally:
        os.kill(server, signal.SIGCONT)
    assert value(read, "pcloud_log_up") == 0
    assert value(read, "pcloud_app_up", app="object-store") == 1 and value(read, "pcloud_disk_free_bytes") > 0

    def back() -> bool:
        return value(samples(get(watcher["metrics"], watcher["token"]).text), "pcloud_log_up") == 1

    wait_until(back, what="the log's answer")
