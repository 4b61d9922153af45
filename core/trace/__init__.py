"""Traces: what one request caused, from the API over the log to projections, triggers and actions. Off unless OTEL_* turns it on."""

from core.trace.tracer import NO_TRACES, Span, Tracer
from core.trace.wanted import traces_wanted

__all__ = ["NO_TRACES", "Span", "Tracer", "traces_wanted"]
