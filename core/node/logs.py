"""The node's log while it runs, on standard error: a line of text for people, or a JSON object per line for log shippers.

A JSON line has `time` (RFC 3339, UTC), `level`, `logger`, `message`, and where they are known `app`, `run`, `tx`, `trace`
and `error` (a traceback). A line never contains a line break.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum

from core.trace.about import now_about

__all__ = ["JsonLines", "LogFormat", "set_up_logs"]

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = ("app", "run", "tx", "trace")


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def set_up_logs(form: LogFormat, *, verbose: bool) -> None:
    """Set up the whole process; call it at the start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object. A record's own `extra={"app": …}` overrides the fields of the running task."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        about = now_about()
        for name in FIELDS:
            if value := getattr(record, name, None) or about.get(name):
                line[name] = str(value)
        if "trace" not in line and (trace := current_trace()):
            line["trace"] = trace
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def current_trace() -> str:
    """Return the trace that the running task belongs to; '' if traces are off."""
    if (traces := sys.modules.get("opentelemetry.trace")) is None:
        return ""
    context = traces.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
