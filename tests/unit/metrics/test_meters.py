"""Counts are written in the form that Prometheus reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from core.front.metrics.facts import Facts, Lag
from core.front.metrics.families import families
from core.front.metrics.meters import CALL_SECONDS, Distribution, Meters, writer
from core.front.metrics.scrape import Together
from eventstore import Transaction
from eventstore.report import ConsumerReport, StreamReport
from pcloud.event import Event, Kind
from pcloud.subject import Ref


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_distribution_equals_the_librarys(values: list[float]) -> None:
    registry = CollectorRegistry()
    theirs = Histogram("x", "x", buckets=CALL_SECONDS, registry=registry)
    ours = Distribution(CALL_SECONDS)
    for value in values:
        theirs.observe(value)
        ours.add(value)
    family = HistogramMetricFamily("x", "x")
    ours.into(family)
    (expected,) = registry.collect()
    wanted = {(one.name, one.labels.get("le")): one.value for one in expected.samples if one.name != "x_created"}
    assert {(one.name, one.labels.get("le")): one.value for one in family.samples} == wanted


def told(meters: Meters, facts: Facts) -> dict[str, dict[tuple[str, ...], float]]:
    text = generate_latest(Together(meters, facts)).decode()  # type: ignore[arg-type]
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_failures_are_counted_but_not_timed() -> None:
    meters = Meters()
    event = Event(Ref("photos", "Image", "a"), Kind.CREATED)
    for actor, outcome in (("person:owner", "OK"), ("device:1", "OK"), ("device:2", "OK"), ("app:photos", "CONFLICT")):
        meters.appended(Transaction("a" * 32, (event,), actor), 0.002, outcome)
    meters.called("photos", 0.2, "OK")
    meters.called("photos", 9.0, "UNAVAILABLE")
    read = told(meters, Facts())
    assert read["pcloud_appends_total"] == {("OK",): 3, ("CONFLICT",): 1}
    assert read["pcloud_append_seconds_count"] == {(): 3}
    assert read["pcloud_events_written_total"] == {("person",): 1, ("device",): 2}
    assert read["pcloud_calls_total"] == {("photos", "OK"): 1, ("photos", "UNAVAILABLE"): 1}
    assert read["pcloud_call_seconds_count"] == {("photos",): 2}


def test_facts_come_out_by_their_labels() -> None:
    about = {"pcloud_app": "faces", "pcloud_trigger": "new", "pcloud_side": "live"}
    facts = Facts(
        log_up=True, last=9, streams=[StreamReport("GRAPH", 9, 1000, 0)], lags={"graph": Lag(2, 1.5)},
        triggers=[ConsumerReport("trigger_faces_new_live", about, 4, 1, 0)], runs={("faces", "FAILED"): 3},
        work=[ConsumerReport("work_faces", about, 7, 2, 0)], refused={("faces", "calls"): 5},
    )  # fmt: skip
    read = told(Meters(), facts)
    assert read["pcloud_trigger_pending"] == {("faces", "live", "new"): 4}  # labels in the order of their names
    assert read["pcloud_work_pending"] == {("faces",): 7} and read["pcloud_work_active"] == {("faces",): 2}
    assert read["pcloud_view_lag_seconds"] == {("graph",): 1.5}
    assert read["pcloud_runs"] == {("faces", "FAILED"): 3}
    assert read["pcloud_quota_refusals_total"] == {("faces", "calls"): 5}
    assert read["pcloud_log_up"] == {(): 1}


def test_other_metrics_are_reported_while_the_log_is_down() -> None:
    read = told(Meters(), Facts(disk_free=5))
    assert read["pcloud_log_up"] == {(): 0} and read["pcloud_disk_free_bytes"] == {(): 5}
    assert {metric.name for metric in families(Facts())} >= {"pcloud_trigger_pending", "pcloud_app_up"}


def test_writers_are_few() -> None:
    actors = ("person:owner", "device:1", "app:photos", "app:core")
    assert [writer(one, "") for one in actors] == ["person", "device", "photos", "core"]
    assert {writer(one, "evil") for one in actors[:2]} == {"evil"}
