"""How much each app has written: the same for any way of reading the log, and after any purge."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph.command.purge_plan import plan_purge
from pcloud.errors import Corrupt
from pcloud.event import Change, Kind, StoredEvent
from pcloud.subject import Ref
from projections.checkpoint import START
from projections.written import Written, open_written

ACTORS = ("app:notes", "app:photos", "app:core", "owner", "device:phone")
# An entity, its writer, and how many bytes; or None: the entity is forgotten and purged.
STORIES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from((*ACTORS, None)), st.integers(1, 5000)), max_size=40)


class Tellers:
    """The tellers of a graph that has forgotten every transaction."""

    async def transactions(self, events: Any) -> list[Any]:
        return []

    async def released(self, ref: Ref, events: Any, going: Any) -> dict[str, list[str]]:
        return {}


def event(
    sequence: int, id: int, actor: str, size: int, kind: Kind = Kind.UPDATED, change: Change | None = None
) -> StoredEvent:
    ref = Ref("notes", "Note", str(id))
    return StoredEvent(
        sequence, 0.0, ref, kind, change or Change(), f"{sequence:032x}", 1, 1, actor, digest=sequence**7, size=size
    )


def play(
    story: Sequence[tuple[int, str | None, int]], interrupted: bool
) -> tuple[list[StoredEvent], list[StoredEvent]]:
    """Return all events ever written, and those still on the log. `interrupted`: the first forgotten entity is not purged then."""
    ever: list[StoredEvent] = []
    there: list[StoredEvent] = []
    for id, actor, size in story:
        sequence = len(ever) + 1
        if actor is not None:
            new = event(sequence, id, actor, size)
        else:
            own = [one for one in there if one.ref.id == str(id)]
            plan = asyncio.run(plan_purge(Ref("notes", "Note", str(id)), own, Tellers(), ()))  # type: ignore[arg-type]
            if plan.event is None:
                continue
            new = event(sequence, id, "app:notes", 100, Kind.FORGOTTEN, plan.event.change)
            if not interrupted:
                there = [one for one in there if one.ref.id != str(id)]
            interrupted = False
        ever.append(new)
        there.append(new)
    return ever, there


def folded(events: Sequence[StoredEvent], path: Path, cut: int = 0) -> Written:
    view = Written(path, START)
    for part in (events[:cut], events[cut:]):
        asyncio.run(view.apply("e", part))
    return view


@settings(max_examples=200)
@given(STORIES, st.booleans(), st.integers(0, 40))
def test_purged_log_folds_to_the_same_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[int, str | None, int]], interrupted: bool, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.json"
    ever, there = play(story, interrupted)
    live, later, split = folded(ever, path), folded(there, path), folded(ever, path, cut)
    for app in ("notes", "photos", "core", ""):
        left = sum(one.size for one in there if one.charged == app and one.kind is not Kind.FORGOTTEN) if app else 0
        given_back = {
            s for one in there if one.change.purged for each in one.change.purged.written.values() for s, _ in each
        }
        left -= sum(one.size for one in there if app and one.charged == app and one.sequence in given_back)
        assert live.bytes_of(app) == later.bytes_of(app) == split.bytes_of(app) == left
    assert live.bytes_of("core") == 0
    assert live.checkpoint.hash == later.checkpoint.hash


class Log:
    def __init__(self, epoch: str, events: Sequence[StoredEvent]) -> None:
        self.epoch, self.events = epoch, events

    async def last_sequence(self) -> int:
        return self.events[-1].sequence

    async def read(self, first: int, last: int) -> Any:
        for one in self.events:
            if first <= one.sequence <= last:
                yield one


async def test_view_continues_after_a_save_and_restarts_on_another_log(tmp_path: Path) -> None:
    events = [event(number, number, "app:notes", 10) for number in range(1, 11)]
    view = await open_written(tmp_path / "written.json", Log("e", events))
    await view.apply("e", events[:5])
    await view.save()
    again = await open_written(tmp_path / "written.json", Log("e", events))
    assert (again.checkpoint.sequence, again.bytes_of("notes")) == (5, 50)
    await again.apply("e", events)  # known events are skipped
    assert again.bytes_of("notes") == 100
    with pytest.raises(Corrupt):
        await again.apply("f", events)
    replaced = [*events[:4], msgspec.structs.replace(events[4], digest=1), *events[5:]]
    for log in (Log("other", events), Log("e", events[:3]), Log("e", replaced)):
        assert (await open_written(tmp_path / "written.json", log)).checkpoint == START
    (tmp_path / "written.json").write_text("{")
    assert (await open_written(tmp_path / "written.json", Log("e", events))).checkpoint == START


async def test_a_disk_that_takes_nothing_stops_no_fold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    view = Written(tmp_path / "missing" / "written.json")
    await view.apply("e", [event(1, 1, "app:notes", 10)])
    with caplog.at_level(logging.WARNING):
        await view.save()
    assert view.bytes_of("notes") == 10 and "could not be noted" in caplog.text


async def test_an_event_costs_microseconds(tmp_path: Path) -> None:
    events = [event(number, number, "app:notes", 10) for number in range(1, 20_001)]
    view = Written(tmp_path / "written.json")
    began = time.process_time()
    for start in range(0, len(events), 500):
        await view.apply("e", events[start : start + 500])
    assert (time.process_time() - began) / len(events) < 50e-6
