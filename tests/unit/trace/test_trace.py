"""When traces are on, and that they cost and load nothing when they are off."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from graphql import parse
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.access.caller import OWNER
from core.node.traced import api_extensions, log_with
from core.trace import NO_TRACES, traces_wanted
from core.trace.otel import open_telemetry, resource
from pcloud.errors import Conflict, Rejected

PARENT = f"00-{'1' * 32}-{'2' * 16}-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "home"}, False),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_standard_variables_switch_traces_on_and_off(variables: dict[str, str], wanted: bool) -> None:
    assert traces_wanted(variables) is wanted


@pytest.mark.parametrize("wrong", [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}])
def test_unsupported_exporter_or_protocol_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(Rejected, match=r"only by otlp|only by http/protobuf"):
        traces_wanted({**ENDPOINT, **wrong})


def test_span_continues_the_given_trace_for_inner_spans_too() -> None:
    spans = InMemorySpanExporter()
    with open_telemetry("1", spans) as tracer:
        with tracer.span("outer", "server", PARENT) as outer, tracer.span("inner", pcloud__run="r") as inner:
            assert outer.traceparent.startswith(f"00-{'1' * 32}-") and inner.traceparent != outer.traceparent
        tracer.past("fold", "consumer", outer.traceparent, 1.0, 3.0)
    found = {span.name: span for span in spans.get_finished_spans()}
    assert found["outer"].parent and f"{found['outer'].parent.span_id:016x}" == "2" * 16
    assert found["inner"].parent == found["outer"].context == found["fold"].parent or (
        found["inner"].parent and found["inner"].parent.span_id == found["outer"].context.span_id
    )
    assert found["inner"].attributes == {"pcloud.run": "r"}
    assert (found["fold"].end_time or 0) - (found["fold"].start_time or 0) == 2 * 10**9


@pytest.mark.parametrize("wrong", ["nonsense", "00-1-2-01", PARENT.upper() + "x", f"00-{'0' * 32}-{'2' * 16}-01"])
def test_malformed_traceparent_begins_a_new_trace(wrong: str) -> None:
    spans = InMemorySpanExporter()
    with open_telemetry("1", spans) as tracer, tracer.span("one", parent=wrong):
        pass
    (span,) = spans.get_finished_spans()
    assert span.parent is None or not span.parent.is_valid


def test_a_caller_who_does_not_sample_is_obeyed() -> None:
    spans = InMemorySpanExporter()
    with open_telemetry("1", spans) as tracer, tracer.span("one", parent=PARENT[:-2] + "00") as span:
        assert span.traceparent.endswith("-00")
    assert spans.get_finished_spans() == ()


def test_span_records_an_errors_code_without_its_message() -> None:
    spans = InMemorySpanExporter()
    with pytest.raises(Conflict), open_telemetry("1", spans) as tracer, tracer.span("one"):
        raise Conflict("a secret")
    (span,) = spans.get_finished_spans()
    assert span.status.description == "CONFLICT" and not span.events and "secret" not in span.to_json()


def test_the_service_is_pcloud_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resource("1").attributes["service.name"] == "pcloud"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "home")
    assert resource("1").attributes["service.name"] == "home"


def test_without_traces_opentelemetry_is_not_loaded() -> None:
    store = object()
    assert log_with(NO_TRACES, store) is store
    assert api_extensions(NO_TRACES) == []
    code = "import core.node.bootstrap, sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"


def test_for_a_span_that_is_off_nothing_is_made() -> None:
    with NO_TRACES.span("call a/b", "client", "", pcloud__run="r") as span:
        assert span is NO_TRACES and not span.traceparent


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mutation AddNote { x }", "graphql mutation AddNote"),
        ("{ x }", "graphql query"),
        (f"query {'x' * 3000} {{ x }}", f"graphql query {'x' * 80}"),
    ],
)
def test_an_operations_span_has_its_kind_and_the_beginning_of_its_name(text: str, name: str) -> None:
    spans, node = InMemorySpanExporter(), parse(text).definitions[0]
    operation = SimpleNamespace(node=node, kind=text.partition(" ")[0].replace("{", "query"))
    context = SimpleNamespace(
        caller=OWNER, headers={"traceparent": PARENT}, request=SimpleNamespace(operation=operation)
    )
    with open_telemetry("1", spans) as tracer:
        (make,) = api_extensions(tracer)
        span = make()
        span.request_started(context)
        span.request_finished(context)
    assert [found.name for found in spans.get_finished_spans()] == [name]


def test_the_span_of_a_refused_operation_has_no_words_of_the_request() -> None:
    spans, context = InMemorySpanExporter(), SimpleNamespace(caller=OWNER, headers={}, request=None)
    with open_telemetry("1", spans) as tracer:
        (make,) = api_extensions(tracer)
        span = make()
        span.request_started(context)
        span.has_errors([], context)
        span.request_finished(context)
    assert [found.name for found in spans.get_finished_spans()] == ["graphql"]
