"""One request is one trace, from the API over the log to views, trigger and action, and back to the API; and each line of the
log says in JSON what it is about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from core.apps import packed
from tests.integration.node.collector import Collector, Seen, open_collector
from tests.node_process import ROOT, NodeProcess, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
ADD = "mutation AddNote($text: String!) { addWordCounter_Note(input: [{text: $text}]) { wordCounter_Note { id } } }"
CHANGED = """    if text == "bad":
        raise Rejected("this note is bad")
    if text.startswith("later "):
        await app.send("word-counter/count", note=text.removeprefix("later "))
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with open_collector() as opened:
        yield opened


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[NodeProcess]:
    """A node that sends its traces, with the app of `pcloud app new`, which refuses bad notes and postpones others."""
    folder = tmp_path_factory.mktemp("traced")
    app = folder / "word-counter"
    shutil.copytree(ROOT / "core" / "cli" / "templates" / "app", app)
    code = (app / "app.py").read_text().replace("    words = len", CHANGED + "    words = len", 1)
    (app / "app.py").write_text(code.replace("import App\n", "import App\nfrom pcloud.errors import Rejected\n", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with NodeProcess(folder / "node", "--log-format", "json") as process:
            process.install_archive(packed(app).data, unconfined=True)
            yield process


def ask(node: NodeProcess, query: str, variables: dict[str, Any], **headers: str) -> dict[str, Any]:
    return send(node, {"query": query, "variables": variables}, **headers)


def send(node: NodeProcess, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    sent = {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json", **headers}
    with urlopen(Request(f"{node.address}/graphql", json.dumps(body).encode(), sent), timeout=30) as answer:
        return json.loads(answer.read())


def path(spans: dict[str, Seen], span: Seen) -> list[str]:
    """The names from the first span of the trace down to this one."""
    return [*(path(spans, spans[span.parent]) if span.parent in spans else []), span.name]


ADDED = ["graphql mutation AddNote", "append GRAPH"]
CALLED = [*ADDED, "run word-counter/new-notes", "call word-counter/count"]
WRITTEN = [*CALLED, "graphql mutation", "append GRAPH"]


def test_one_trace_has_all_that_a_request_led_to(node: NodeProcess, collector: Collector) -> None:
    ask(node, ADD, {"text": "one two three"}, traceparent=f"00-{TRACE}-{CALLER}-01")

    def paths() -> list[list[str]]:
        spans = collector.trace(TRACE)
        return [path(spans, span) for span in spans.values()]

    expected = [
        ADDED[:1], ADDED, [*ADDED, "fold graph"], [*ADDED, "fold search"], CALLED[:3], CALLED,
        [*CALLED, "graphql query"], WRITTEN[:5], WRITTEN, [*WRITTEN, "fold graph"], [*WRITTEN, "fold search"],
    ]  # fmt: skip
    wait_until(lambda: all(one in paths() for one in expected), seconds=20, what=f"the trace; it has {paths()}")
    spans = collector.trace(TRACE)
    (first,) = [span for span in spans.values() if span.parent not in spans]
    assert first.parent == CALLER and first.attributes["pcloud.caller"] == "person:owner"
    assert {span.service for span in spans.values()} == {"pcloud"}
    for span in spans.values():
        if span.parent in spans and not span.name.startswith("fold"):
            assert spans[span.parent].start <= span.start, f"{span.name} began before what led to it"
    written = next(span for span in spans.values() if path(spans, span) == WRITTEN)
    called = spans[spans[written.parent].parent]
    assert called.start <= written.start <= written.end <= called.end
    assert written.attributes["pcloud.actor"] == "app:word-counter"


def test_an_event_on_the_log_names_the_span_that_stored_it(node: NodeProcess, collector: Collector) -> None:
    trace = "a" * 32
    ask(node, ADD, {"text": "four"}, traceparent=f"00-{trace}-{CALLER}-01")
    wait_until(lambda: [one for one in collector.named("append GRAPH") if one.trace == trace], what="the span")
    span = next(one for one in collector.named("append GRAPH") if one.trace == trace)
    assert 0 < span.attributes["pcloud.sequence"] <= node.status()["events"]
    logged = [
        line for line in (node.data / "nats").rglob("*.blk") if f"00-{trace}-{span.id}-01".encode() in line.read_bytes()
    ]
    # The stream is compressed on the disk as soon as a block is full; the newest one is not.
    assert logged


def test_a_durable_call_goes_on_with_its_trace(node: NodeProcess, collector: Collector) -> None:
    trace = "b" * 32
    note = ask(node, ADD, {"text": "five six"})["data"]["addWordCounter_Note"]["wordCounter_Note"][0]["id"]
    ask(node, ADD, {"text": f"later {note}"}, traceparent=f"00-{trace}-{CALLER}-01")
    begun = [*CALLED, "send word-counter/count", "run word-counter/count", "call word-counter/count"]

    def paths() -> list[list[str]]:
        spans = collector.trace(trace)
        return [path(spans, span) for span in spans.values()]

    wait_until(lambda: begun in paths(), what=f"the trace; it has {paths()}")


def test_malformed_traceparent_begins_a_new_trace(node: NodeProcess, collector: Collector) -> None:
    for wrong in ("nonsense", f"00-{'0' * 32}-{CALLER}-01", "00-" + "x" * 32 + f"-{CALLER}-01"):
        name = f"Odd{abs(hash(wrong))}"
        ask(node, ADD.replace("AddNote", name), {"text": "seven"}, traceparent=wrong)
        wait_until(lambda name=name: collector.named(f"graphql mutation {name}"), what="its span")
        (span,) = collector.named(f"graphql mutation {name}")
        assert span.parent == "" and len(span.trace) == 32


def test_only_an_operation_of_the_document_names_its_span(node: NodeProcess, collector: Collector) -> None:
    secret = "AnnSmithBorn1980"
    asked = [{"query": "{ revision }", "operationName": secret}, {"query": f"query {secret} {{ nothing }}"}]
    for digit, body in zip("de", asked, strict=True):
        with pytest.raises(HTTPError):
            send(node, body, traceparent=f"00-{digit * 32}-{CALLER}-01")
        wait_until(lambda digit=digit: collector.trace(digit * 32), what="the span")
        assert [span.name for span in collector.trace(digit * 32).values()] == ["graphql"]
    send(node, {"query": "query A { revision } query B { revision }", "operationName": "B"})
    wait_until(lambda: collector.named("graphql query B"), what="the span")


def test_a_failed_run_is_reported_in_its_span_and_in_the_log(node: NodeProcess, collector: Collector) -> None:
    trace = "c" * 32
    ask(node, ADD, {"text": "bad"}, traceparent=f"00-{trace}-{CALLER}-01")

    def failed() -> list[Seen]:
        return [span for span in collector.named("run word-counter/new-notes") if span.trace == trace and span.failed]

    wait_until(failed, what="the failed span")
    assert failed()[0].attributes["error.type"] == "REJECTED"
    lines = [json.loads(line) for line in node.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (line,) = [line for line in lines if "this note is bad" in line["message"]]
    assert line["app"] == "word-counter" and line["trace"] == trace
    assert line["run"] == failed()[0].attributes["pcloud.run"] and len(line["tx"]) == 32


def test_no_span_tells_what_is_in_the_graph(node: NodeProcess, collector: Collector) -> None:
    ask(node, ADD, {"text": "a-very-secret-text"})
    wait_until(lambda: len(collector.named("fold search")) > 3, what="spans")
    told = repr(collector.spans)
    assert "a-very-secret-text" not in told and "this note is bad" not in told and node.token not in told


def test_an_absent_collector_does_not_disturb_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with NodeProcess(tmp_path / "node") as process:
        assert process.graphql("{ queryCore_App { name } }") == {"queryCore_App": []}


def test_traces_that_can_not_be_sent_as_asked_for_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    result = NodeProcess(tmp_path / "node").cli("up", "--data", str(tmp_path / "node"), check=False)
    assert result.returncode == 2 and "http/protobuf" in result.stderr
