"""The support bundle: what may leave the node, and the file that it is written to."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from core.cli.bundle import gather, parts, write_bundle
from core.cli.bundle.allowed import EACH, LEFT_OUT, allowed, allowed_metrics, flag, number, present, word
from pcloud.errors import Rejected, Unavailable

PLANTED = [
    "0b7c51d9a8e24f0395c1d2e3f4a5b6c7", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ada@example.org", "10.1.2.3", "fe80::1", "48.8583, 2.2944", "Wedding in Paris.jpg", "/home/ada/data", "https://cloud.ada.example",
    "owner_" + "a" * 43, "AKIA" + "Z" * 60, "-----BEGIN PRIVATE KEY-----", "nats://core:pw@127.0.0.1:4222",
]  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_value_without_the_form_of_its_place_is_left_out(planted: str) -> None:
    shape = {"name": word, "count": number, "on": flag, "error": present, "each": {EACH: number}, "list": [word]}
    given = {
        "name": planted, "count": planted, "on": planted, "error": planted, "each": {planted: 1, "fine": 2, "bad": planted},
        "list": [planted, "fine"], "unnamed": planted,
    }  # fmt: skip
    assert allowed(given, shape) == {"error": True, "each": {"fine": 2}, "list": ["fine"]}
    assert allowed(planted, shape) is LEFT_OUT


def test_metrics_with_other_labels_are_left_out() -> None:
    lines = [f'pcloud_calls_total{{app="{planted}",outcome="OK"}} 1.0' for planted in PLANTED]
    fine = 'pcloud_calls_total{app="photos",outcome="OK"} 1.0'
    text = "\n".join(["# HELP pcloud_x ada", *lines, fine, "other_metric 1", "pcloud_log_up 1.0"])
    assert allowed_metrics(text).splitlines() == [fine, "pcloud_log_up 1.0"]


def test_names_of_triggers_are_words() -> None:
    assert word("image-importer/new-object") == "image-importer/new-object"


def test_lines_that_another_program_wrote_into_the_recorder_are_left_out(tmp_path: Path) -> None:
    own = {
        "time": "2026-11-30T17:14:09.120Z", "level": "WARNING", "logger": "core.work.processor.done_or_failed",
        "message": "run … of …/… failed: HandlerFailed",
        "error": [{"kind": "Rejected", "code": "REJECTED", "at": ["…", "core/node/disk.py:48 look"]}],
    }  # fmt: skip
    lines: list[Any] = [7, None, [own], "started", {}, own]
    lines += [
        {**own, "message": text} for text in (*PLANTED, "Zebedee", "run of Zebedee failed", own["message"] + " Zebedee")
    ]
    places = [*PLANTED, "core/Zebedee.py:1 look", "core/node/disk.py:48 look Zebedee", "core/../../etc/hosts.py:1 look"]
    lines += [{**own, "error": [{"kind": "ValueError", "at": [place]}]} for place in places]
    lines += [{**own, "logger": text, "level": text, "time": text} for text in PLANTED]
    (tmp_path / "recorder").mkdir()
    text = "".join(f"{json.dumps(line)}\n" for line in lines) + "[" * 100_000 + '\n{"time'
    (tmp_path / "recorder" / "node.jsonl").write_text(text)
    found = asyncio.run(gather(tmp_path))
    assert found["contents.json"]["node.jsonl"] == "here"
    kept = [json.loads(line) for line in found["node.jsonl"].splitlines()]
    assert kept[0] == own and len(kept) == 1 + len(PLANTED) + 3 + len(places) + len(PLANTED)
    others = found["node.jsonl"].partition("\n")[2]
    assert not [text for text in (*PLANTED, "Zebedee", "hosts") if text in others]


def test_bundle_without_a_node_names_what_is_missing(tmp_path: Path) -> None:
    found = asyncio.run(gather(tmp_path / "nowhere"))
    contents = found["contents.json"]
    assert contents["versions.json"] == "here"
    assert contents["status.json"] == {"missing": "UNAVAILABLE"}
    assert contents["folder.json"] == contents["node.jsonl"] == {"missing": "FileNotFoundError: ENOENT"}
    assert str(tmp_path) not in json.dumps(found)


def test_each_part_fails_alone_and_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(data: Path) -> Any:
        raise ValueError("ada@example.org")

    async def stuck(data: Path) -> Any:
        await asyncio.Event().wait()

    async def fine(data: Path) -> Any:
        return {"fine": True}

    monkeypatch.setattr(parts, "PATIENCE", 0.05)
    monkeypatch.setattr(parts, "PARTS", {"a.json": broken, "b.json": stuck, "c.json": fine})
    found = asyncio.run(gather(tmp_path))
    assert found == {
        "contents.json": {"a.json": {"missing": "ValueError"}, "b.json": {"missing": "TimeoutError"}, "c.json": "here"},
        "c.json": {"fine": True},
    }


def test_bundle_is_private_bounded_and_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.cli.bundle.archive.LARGEST_PART", 1000)
    path = tmp_path / "bundle.tar.gz"
    write_bundle(path, {"a.json": {"x": 1}, "b.txt": "old " * 1000 + "newest"}, made=1_800_000_000.0)
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
        assert set(members) == {"bundle/a.json", "bundle/b.txt"}
        assert {(one.uname, one.gname, one.uid, one.mode) for one in members.values()} == {("", "", 0, 0o600)}
        text = tar.extractfile(members["bundle/b.txt"]).read()  # type: ignore[union-attr]
        assert len(text) == 1000 and text.endswith(b"newest")
    with pytest.raises(Rejected, match="exists"):
        write_bundle(path, {}, made=0.0)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Rejected):
        write_bundle(tmp_path / "link", {}, made=0.0)
    with pytest.raises(Unavailable, match="can't be written"):
        write_bundle(tmp_path / "none" / "b.tar.gz", {}, made=0.0)
