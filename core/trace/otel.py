"""The tracer on OpenTelemetry: spans are gathered in memory and sent by a separate thread, so requests never wait for the collector.

The standard variables configure everything; OpenTelemetry reads them itself: endpoint, headers, sampler, resource, and limits of what
is gathered. Spans beyond the limits, or refused by the collector, are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from core.trace.tracer import Kind, Value
from pcloud.errors import PCloudError

__all__ = ["OpenTelemetry", "open_telemetry"]

TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
SECOND = 10**9
LAST_SECONDS = 3.0
KINDS: Mapping[str, SpanKind] = {kind.name.lower(): kind for kind in SpanKind}


@contextmanager
def open_telemetry(version: str, exporter: SpanExporter | None = None) -> Generator[OpenTelemetry]:
    """Open the tracer until the end of the block, where gathered spans are sent, as far as the collector accepts them at once."""
    provider = TracerProvider(resource=resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    try:
        yield OpenTelemetry(provider.get_tracer("pcloud", version))
    finally:
        # It would retry for half a minute if the collector is down, and a stop must not wait for that.
        last = Thread(target=provider.shutdown, name="last traces", daemon=True)
        last.start()
        last.join(LAST_SECONDS)


def resource(version: str) -> Resource:
    """Return the sender: `pcloud`, unless the environment names the service (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES)."""
    told = Resource.create()
    ours: dict[str, Any] = {"service.version": version}
    if str(told.attributes.get("service.name", "")).startswith("unknown_service"):
        ours["service.name"] = "pcloud"
    return told.merge(Resource(ours))


class OpenTelemetry:
    """Implements `core.trace.Tracer`."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str, kind: Kind = "internal", parent: str = "", **attributes: Value) -> Generator[OpenSpan]:
        context = parent_context(parent) if parent else None
        span = self._tracer.start_span(name, context, KINDS[kind], _attributes(attributes))
        token = contexts.attach(trace.set_span_in_context(span, context))
        opened = OpenSpan(span)
        try:
            yield opened
        except PCloudError as error:
            opened.fail(error.code)
            raise
        except BaseException as error:
            opened.fail(type(error).__name__)
            raise
        finally:
            contexts.detach(token)
            span.end()

    def past(self, name: str, kind: Kind, parent: str, began: float, ended: float, **attributes: Value) -> None:
        span = self._tracer.start_span(
            name, parent_context(parent), KINDS[kind], _attributes(attributes), start_time=int(began * SECOND)
        )
        span.end(int(max(began, ended) * SECOND))


class OpenSpan:
    """Implements `core.trace.Span`."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def note(self, **attributes: Value) -> None:
        self._span.set_attributes(_attributes(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, code: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, code))
        self._span.set_attribute("error.type", code)


def parent_context(traceparent: str) -> contexts.Context:
    """Return a context with the named span as its parent; for an invalid traceparent an empty one, which begins a new trace."""
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return contexts.Context()
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    remote = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(remote), contexts.Context())


def _attributes(given: Mapping[str, Value]) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in given.items()}
