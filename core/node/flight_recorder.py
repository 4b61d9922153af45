"""What a bug report may hold of a node's log, in a small file of the data folder, also of a node that has died.

A line of the log may quote anything: a title, a file's name, a token in an error. So nothing of it is kept but what this program itself
says: the constant text of the call that logged it, whole numbers, the codes of errors and the places in its own source. All else is `…`.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import core
from pcloud.errors import PCloudError

__all__ = ["FOLDER", "FlightRecorder", "entry_of", "keep_flight_recorder", "recorder_files"]

FOLDER = "recorder"
FILE = "node.jsonl"
LARGEST = 512 * 2**10  # bytes of the file, and of the one before it
FRAMES = 20
CAUSES = 5
HIDDEN = "…"
SOURCE = Path(core.__file__).parent.parent
OWN = ("core", "eventstore", "pcloud", "projections")
PLACEHOLDER = re.compile(r"%(?:%|[#0 +-]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[diouxXeEfFgGcrsa])")


class FlightRecorder(RotatingFileHandler):
    """A handler of the root logger. A full disk loses lines, and nothing else."""

    def __init__(self, folder: Path) -> None:
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
        # Opened at the first line, whose errors are handled: a node may start on a full disk.
        super().__init__(folder / FILE, maxBytes=LARGEST, backupCount=1, encoding="utf-8", delay=True)

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(entry_of(record), ensure_ascii=False)

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def started(self, facts: Mapping[str, Any]) -> None:
        """Record with what the node started. The caller answers for the facts."""
        record = logging.LogRecord("pcloud.node", logging.INFO, "", 0, "started", (), None)
        record.started = dict(facts)
        self.handle(record)


@contextmanager
def keep_flight_recorder(root: Path) -> Generator[FlightRecorder]:
    """Record this process's log below `root` meanwhile."""
    recorder = FlightRecorder(root / FOLDER)
    recorder.setLevel(logging.INFO)
    logging.getLogger().addHandler(recorder)
    try:
        yield recorder
    finally:
        logging.getLogger().removeHandler(recorder)
        recorder.close()


def recorder_files(root: Path) -> list[Path]:
    """The files, oldest first."""
    return [path for name in (f"{FILE}.1", FILE) if (path := root / FOLDER / name).is_file()]


def entry_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what may be kept of a line of the log, as JSON."""
    if (facts := getattr(record, "started", None)) is not None:
        return {"time": _now(record.created), "started": facts}
    entry: dict[str, Any] = {
        "time": _now(record.created),
        "level": record.levelname,
        "logger": record.name,
        "message": said(record),
    }
    if record.exc_info and record.exc_info[1] is not None:
        entry["error"] = told(record.exc_info[1])
    return entry


def said(record: logging.LogRecord) -> str:
    """The message with everything hidden that is not this program's own text or a whole number."""
    if not isinstance(record.msg, str) or not is_constant(record):
        return HIDDEN
    arguments = iter(record.args if isinstance(record.args, tuple) else ())
    return PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else shown(next(arguments, None)), record.msg)


def is_constant(record: logging.LogRecord) -> bool:
    """Return True if the message stands in this program's source, in the function that logged it."""
    frame = inspect.currentframe()
    while frame is not None and (frame.f_code.co_filename, frame.f_lineno) != (record.pathname, record.lineno):
        frame = frame.f_back
    return frame is not None and place_of(frame) != HIDDEN and record.msg in frame.f_code.co_consts


def place_of(frame: FrameType) -> str:
    """The frame's file below the program's folder; hidden if it lies elsewhere."""
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(SOURCE):
        return HIDDEN
    inner = path.relative_to(SOURCE)
    return str(inner) if inner.parts[0] in OWN else HIDDEN


def shown(argument: object) -> str:
    if isinstance(argument, int) and not isinstance(argument, bool):
        return str(argument)
    if isinstance(argument, PCloudError):
        return argument.code
    return type(argument).__name__ if isinstance(argument, BaseException) else HIDDEN


def told(error: BaseException) -> list[dict[str, Any]]:
    """The error and its causes: the kinds, and where in this program they were raised."""
    found: list[dict[str, Any]] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < CAUSES:
        found.append(
            {
                "kind": type(cause).__name__,
                "code": getattr(cause, "code", None) if isinstance(cause, PCloudError) else None,
                "at": places(cause.__traceback__),
            }
        )
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def places(traceback: TracebackType | None) -> list[str]:
    """`core/node/disk.py:48 look`, the innermost last."""
    found: list[str] = []
    while traceback is not None:
        place = place_of(traceback.tb_frame)
        name = traceback.tb_frame.f_code.co_name if place != HIDDEN else ""
        found.append(f"{place}:{traceback.tb_lineno} {name}" if name else HIDDEN)
        traceback = traceback.tb_next
    return found[-FRAMES:]


def _now(seconds: float | None = None) -> str:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
