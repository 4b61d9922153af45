"""The flight recorder's lines, each checked again: another program, such as an app without a sandbox, may have written there.

A message has to be one of this program's own, as the recorder keeps them, and a place one in its source. A message of another version
is left out.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from core.cli.bundle.allowed import LEFT_OUT, allowed, flag, number, word
from core.node.flight_recorder import HIDDEN, OWN, PLACEHOLDER, SOURCE, recorder_files
from pcloud.errors import PCloudError

__all__ = ["last_text", "recorded_lines"]

LOGGING = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
CODES = "|".join(kind.code for kind in (PCloudError, *PCloudError.__subclasses__()))
# What stands there instead of an argument: see `flight_recorder.shown`.
SHOWN = rf"(?:{HIDDEN}|-?[0-9]{{1,20}}|{CODES}|[A-Z][A-Za-z]{{0,20}}[A-Z][a-z]{{1,20}})"
TIME = re.compile(r"[\d:.TZ-]{20,30}", re.ASCII)
LOGGER = re.compile(rf"(?:{'|'.join(OWN)})(?:\.[a-z_]{{1,30}}){{0,8}}", re.ASCII)
PLACE = re.compile(rf"((?:{'|'.join(OWN)})/[a-z0-9_/]+\.py):[0-9]{{1,6}} <?[A-Za-z_]{{1,60}}>?", re.ASCII)


def recorded_lines(data: Path, most: int) -> Iterator[dict[str, Any]]:
    """Of the last `most` bytes of each file, oldest first. Raises `FileNotFoundError`."""
    files = recorder_files(data)
    if not files:
        raise FileNotFoundError(2, "no node has recorded anything here")
    for path in files:
        for text in last_text(path, most).splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):  # the line at which a node was killed, or another program's
                continue
            if isinstance(line, dict) and (found := allowed(line, STARTED if "started" in line else STEP)):
                yield found


def last_text(path: Path, most: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - most))
        return file.read().decode(errors="replace")


def moment(value: Any) -> Any:
    return value if isinstance(value, str) and TIME.fullmatch(value) else LEFT_OUT


def logger(value: Any) -> Any:
    """A logger of this program's; another one's if it is a word."""
    return value if isinstance(value, str) and LOGGER.fullmatch(value) else word(value)


def message(value: Any) -> Any:
    return value if isinstance(value, str) and (value == HIDDEN or messages().fullmatch(value)) else LEFT_OUT


def place(value: Any) -> Any:
    found = PLACE.fullmatch(value) if isinstance(value, str) else None
    return value if value == HIDDEN or (found and (SOURCE / found[1]).is_file()) else LEFT_OUT


@cache
def messages() -> re.Pattern[str]:
    """Matches what the recorder keeps of each message in this program's source."""
    own = {text for name in OWN for path in (SOURCE / name).rglob("*.py") for text in _logged(path.read_text())}
    return re.compile("|".join(SHOWN.join(map(re.escape, PLACEHOLDER.split(text))) for text in sorted(own)))


def _logged(source: str) -> Iterator[str]:
    """The constant texts in calls such as `log.warning(…)`."""
    if "log" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING:
            for part in (part for argument in node.args for part in ast.walk(argument)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


STEP = {
    "time": moment, "level": word, "logger": logger, "message": message,
    "error": [{"kind": word, "code": word, "at": [place]}],
}  # fmt: skip
STARTED = {
    "time": moment,
    "started": {
        "unconfined": flag, "loopback": flag, "own_domain": flag, "traces": flag, "graph": word, "disk_reserve": number,
        "sandbox": word, "pcloud": word,
    },
}  # fmt: skip
