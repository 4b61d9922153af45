"""The flight recorder: it keeps what the program says, and nothing of what it is said about."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from core.node import flight_recorder
from core.node.flight_recorder import FlightRecorder, keep_flight_recorder, recorder_files
from pcloud.errors import NotFound

SECRET = "ada@example.org 48.8583,2.2944 10.1.2.3 owner_s3cr3t /home/ada/Wedding.jpg"
log = logging.getLogger("pcloud.test")


@pytest.fixture
def own_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count this file to the program's own source."""
    monkeypatch.setattr(flight_recorder, "SOURCE", Path(__file__).parents[3])
    monkeypatch.setattr(flight_recorder, "OWN", ("tests",))


def recorded(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in recorder_files(root) for line in path.read_text().splitlines()]


def fail(what: str) -> None:
    raise NotFound(f"there is no file {what}")


@pytest.mark.usefixtures("own_source")
def test_only_constant_text_whole_numbers_and_codes_are_kept(tmp_path: Path) -> None:
    with keep_flight_recorder(tmp_path):
        log.warning("%s of %s failed after %d attempts in %.1f s: %s, 100%%", SECRET, "x", 7, 48.8583, NotFound(SECRET))
        log.warning(f"not a constant: {SECRET}")
        log.warning(SECRET)
        log.error({"a": SECRET})
    texts = [line["message"] for line in recorded(tmp_path)]
    assert texts == ["… of … failed after 7 attempts in … s: NOT_FOUND, 100%", "…", "…", "…"]


@pytest.mark.usefixtures("own_source")
def test_error_is_kept_as_kinds_and_places(tmp_path: Path) -> None:
    with keep_flight_recorder(tmp_path):
        try:
            try:
                fail(SECRET)
            except NotFound as error:
                raise ValueError(SECRET) from error
        except ValueError:
            log.exception("it failed")
    (line,) = recorded(tmp_path)
    (outer, inner) = line["error"]  # type: ignore[misc]
    assert (outer["kind"], inner["kind"], inner["code"]) == ("ValueError", "NotFound", "NOT_FOUND")
    assert inner["at"][-1].startswith("tests/unit/node/test_flight_recorder.py:") and inner["at"][-1].endswith(" fail")
    assert "ada" not in json.dumps(line) and "Wedding" not in json.dumps(line)


def test_text_of_other_programs_is_hidden(tmp_path: Path) -> None:
    with keep_flight_recorder(tmp_path):
        log.warning("a constant of %s that is not this program's", SECRET)
    assert [line["message"] for line in recorded(tmp_path)] == ["…"]


@pytest.mark.usefixtures("own_source")
def test_files_are_bounded_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight_recorder, "LARGEST", 2000)
    with keep_flight_recorder(tmp_path):
        for number in range(200):
            log.warning("line %d", number)
    files = recorder_files(tmp_path)
    assert len(files) == 2 and sum(path.stat().st_size for path in files) <= 4200
    assert recorded(tmp_path)[-1]["message"] == "line 199"
    assert files[0].parent.stat().st_mode & 0o077 == 0


def test_a_recorder_that_can_not_write_disturbs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recorder").write_text("not a folder")
    recorder = FlightRecorder(tmp_path / "recorder")
    recorder.handle(logging.LogRecord("pcloud", logging.WARNING, "x.py", 1, "text", (), None))
    recorder.started({"graph": "sqlite"})
    assert capsys.readouterr().err == ""
