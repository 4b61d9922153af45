"""The looked-up facts as Prometheus metrics. docs/how-to/watch-a-node.md lists each of them in a table; a test compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.front.metrics.facts import Facts

__all__ = ["families"]

Family = GaugeMetricFamily | CounterMetricFamily


def families(facts: Facts) -> Iterator[Metric]:
    """Yield all families, even without a value: every scrape has the same names."""
    yield from node(facts)
    yield from log(facts)
    yield from projections(facts)
    yield from work(facts)
    yield from apps(facts)


def node(facts: Facts) -> Iterator[Metric]:
    yield gauge("takes_writes", "1 while the node takes writes and starts runs.", facts.takes_writes)
    yield gauge("disk_free_bytes", "Free room on the disk of the data folder.", facts.disk_free)
    yield gauge("disk_total_bytes", "Size of the disk of the data folder.", facts.disk_total)
    yield gauge("log_up", "1 when the log's server has answered, 0 when it has not.", facts.log_up)
    silences = CounterMetricFamily("pcloud_log_silences", "How often the log's server has stopped answering.")
    silences.add_metric([], facts.log_silences)
    yield silences
    yield gauge("graph_up", "1 while the apps' graph can be asked, 0 while its server is away.", facts.graph_up)
    yield gauge("nats_memory_bytes", "Memory that nats-server holds.", facts.nats_memory)
    yield gauge("appends_waiting", "Transactions that wait to be sent to the log.", facts.waiting_appends)
    yield gauge("audit_waiting", "Records that wait to be written to the audit log.", facts.waiting_audit)


def log(facts: Facts) -> Iterator[Metric]:
    size = gauges("stream_bytes", "Bytes of a stream on the disk.", "stream")
    limit = gauges("stream_limit_bytes", "Bytes that a stream may have; 0: no limit.", "stream")
    messages = gauges("stream_messages", "Messages in a stream.", "stream")
    for stream in facts.streams:
        add([stream.name], (size, stream.size), (limit, stream.limit), (messages, stream.messages))
    yield from (size, limit, messages)
    yield gauge("log_sequence", "Sequence of the newest event; 0 while the log's server is away.", facts.last)


def projections(facts: Facts) -> Iterator[Metric]:
    behind = gauges("view_lag_events", "Events that a view has not folded yet.", "view")
    late = gauges("view_lag_seconds", "Age of the oldest event that a view has not folded yet.", "view")
    for name, lag in facts.lags.items():
        add([name], (behind, lag.events), (late, lag.seconds))
    yield from (behind, late)


def work(facts: Facts) -> Iterator[Metric]:
    names = ("app", "trigger", "side")
    pending = gauges("trigger_pending", "Events that a trigger has before it.", *names)
    active = gauges("trigger_active", "Events of a trigger that are being worked on.", *names)
    for consumer in facts.triggers:
        values = [consumer.about.get(f"pcloud_{name}", "") for name in names]
        add(values, (pending, consumer.pending), (active, consumer.ack_pending))
    queued = gauges("work_pending", "Durable calls that wait for an app.", "app")
    working = gauges("work_active", "Durable calls that an app is at.", "app")
    for consumer in facts.work:
        add([consumer.about.get("pcloud_app", "")], (queued, consumer.pending), (working, consumer.ack_pending))
    runs = gauges("runs", "Runs on record, by the state they are in.", "app", "state")
    for (app, state), count in sorted(facts.runs.items()):
        runs.add_metric([app, state], count)
    yield from (pending, active, queued, working, runs)


def apps(facts: Facts) -> Iterator[Metric]:
    up = gauges("app_up", "1 while the app runs and is ready.", "app")
    memory = gauges("app_memory_bytes", "Memory that the app's processes hold; what they share counts for each.", "app")
    processes = gauges("app_processes", "Processes of the app.", "app")
    restarts = counters("app_restarts", "How often the app ended by itself and was started again.", "app")
    dropped = counters("app_log_lines_dropped", "Lines of the app's log that were too many at once.", "app")
    for app in facts.apps:
        add([app.name], (up, app.up), (memory, app.memory), (processes, app.processes))
        add([app.name], (restarts, app.restarts), (dropped, app.dropped))
    connections = counters("app_network_connections", "Connections of the app to hosts outside.", "app")
    passed = counters("app_network_bytes", "Bytes between the app and hosts outside.", "app", "direction")
    for app in facts.apps:
        add([app.name], (connections, app.outside.connections))
        add([app.name, "sent"], (passed, app.outside.sent))
        add([app.name, "received"], (passed, app.outside.received))
    refused = counters("quota_refusals", "What an app was refused for being beyond its quota.", "app", "kind")
    for (app, kind), count in sorted(facts.refused.items()):
        refused.add_metric([app, kind], count)
    yield from (up, memory, processes, restarts, dropped, connections, passed, refused)


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pcloud_{name}", text, value=float(value))


def gauges(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pcloud_{name}", text, labels=labels)


def counters(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"pcloud_{name}", text, labels=labels)


def add(labels: Sequence[str], *values: tuple[Family, float]) -> None:
    for family, value in values:
        family.add_metric(labels, float(value))
