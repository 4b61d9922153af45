"""Opens the tracer that the node's environment asks for. OpenTelemetry is loaded here, and only if traces are wanted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version

from core.trace.tracer import NO_TRACES, Tracer

__all__ = ["open_tracer"]


@contextmanager
def open_tracer(wanted: bool) -> Generator[Tracer]:
    """Open the tracer until the end of the block, where gathered spans are sent."""
    if not wanted:
        yield NO_TRACES
        return
    from core.trace.otel import open_telemetry

    with open_telemetry(version("pcloud-node")) as tracer:
        yield tracer
