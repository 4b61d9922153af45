"""The log as JSON, one object per line, for any message."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime

from core.node.logs import JsonLines
from core.trace.about import About


def line(message: str = "hello", *args: object, **extra: object) -> dict[str, str]:
    record = logging.LogRecord("pcloud.app", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_says_when_how_grave_who_and_what() -> None:
    said = line("%s is %d", "it", 3)
    assert (said["level"], said["logger"], said["message"]) == ("WARNING", "pcloud.app", "it is 3")
    assert datetime.fromisoformat(said["time"]).utcoffset() is not None
    assert set(said) == {"time", "level", "logger", "message"}


def test_log_line_has_task_fields_and_its_own_come_first() -> None:
    with About(app="photos", run="r1"), About(tx="t1", run="r2"):
        assert {name: line()[name] for name in ("app", "run", "tx")} == {"app": "photos", "run": "r2", "tx": "t1"}
        assert line(app="other")["app"] == "other"
    assert "app" not in line()


async def test_log_fields_of_one_task_do_not_leak_to_another() -> None:
    async def other() -> dict[str, str]:
        return line()

    before = asyncio.create_task(other())
    with About(app="photos"):
        assert "app" not in await before
        assert (await asyncio.create_task(other()))["app"] == "photos"


def test_an_error_stands_in_the_same_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        said = line(exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: two\nlines" in said["error"]
