"""The runs view: the last record of each run, listed newest first."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcloud.errors import Corrupt, Rejected, Unavailable
from projections.runs import Run, RunEntry, RunError, RunsProjection, decode_run, encode_run, open_runs
from projections.runs.log import FORGOTTEN

NOW = 1_700_000_000.0


@pytest.fixture
async def view(tmp_path: Path) -> AsyncIterator[RunsProjection]:
    opened = await open_runs(tmp_path / "runs.sqlite")
    yield opened
    await opened.close()


def entry(sequence: int, id: str, *, time: float = NOW, **fields: Any) -> RunEntry:
    run = Run(id=id, **{"app": "faces", "action": "detect", "created": NOW + sequence, **fields})
    return RunEntry(sequence, f"run.{run.app}.{run.action}.{id}", time, encode_run(run))


async def ids(view: RunsProjection, **wanted: Any) -> str:
    return "".join(run.id for run in (await view.list(**wanted)).runs)


async def test_the_last_record_of_a_run_is_its_state(view: RunsProjection) -> None:
    await view.apply(
        "e", [entry(1, "a", state="NEW"), entry(2, "a", state="IN_PROGRESS"), entry(3, "b", state="FAILED")]
    )
    run = await view.get("a")
    assert run is not None
    assert run.state == "IN_PROGRESS"
    assert await view.get("none") is None
    assert await view.counts() == {"NEW": 0, "IN_PROGRESS": 1, "DONE": 0, "FAILED": 1}
    assert await view.counts(app="other") == {"NEW": 0, "IN_PROGRESS": 0, "DONE": 0, "FAILED": 0}


async def test_message_that_is_not_a_run_is_skipped(view: RunsProjection) -> None:
    foreign = RunEntry(2, "run.x.y.z", NOW, b"hello")
    checkpoint = await view.apply("e", [entry(1, "a"), foreign, entry(3, "b")])
    assert checkpoint.sequence == 3
    assert await ids(view) == "ba"


async def test_runs_are_listed_newest_first_and_narrowed(view: RunsProjection) -> None:
    await view.apply("e", [
        entry(1, "a", state="DONE", trigger="faces/new"), entry(2, "b", app="photos"), entry(3, "c", state="DONE"),
    ])  # fmt: skip
    assert await ids(view) == "cba"
    assert await ids(view, app="faces") == "ca"
    assert await ids(view, state="DONE", trigger="faces/new") == "a"


async def test_the_oldest_that_are_done_come_with_their_place(view: RunsProjection) -> None:
    done = {"state": "DONE", "time": NOW}
    await view.apply("e", [
        entry(1, "a", ended=NOW + 3, **done), entry(2, "b", ended=NOW + 1, **done), entry(3, "c", state="FAILED", ended=NOW),
        entry(4, "d", ended=NOW + 2, **done),
    ])  # fmt: skip
    assert [(run.id, sequence) for run, sequence in await view.oldest_done(2)] == [("b", 2), ("d", 4)]


async def test_pages_show_every_run_once(view: RunsProjection) -> None:
    await view.apply("e", [entry(number, str(number), created=NOW + number // 3) for number in range(1, 10)])
    found, after = "", None
    while True:
        page = await view.list(first=2, after=after)
        found += "".join(run.id for run in page.runs)
        after = page.after
        if after is None:
            break
    assert found == await ids(view)
    assert sorted(found) == list("123456789")


async def test_a_run_that_is_dismissed_or_long_done_is_gone(view: RunsProjection) -> None:
    old = {"ended": NOW - 91 * 86400}
    await view.apply("e", [entry(1, "a", state="DONE", **old), entry(2, "b", state="FAILED", **old), entry(3, "c")])
    assert await ids(view) == "cb"
    await view.apply("e", [RunEntry(4, "run.faces.detect.b", NOW, b"")])
    assert await ids(view) == "c"


async def test_view_continues_where_it_was(view: RunsProjection) -> None:
    await view.apply("e", [entry(1, "a")])
    await view.close()
    again = await open_runs(view.path)
    assert (again.checkpoint.epoch, again.checkpoint.sequence) == ("e", 1)
    await again.apply("e", [entry(1, "a", state="FAILED")])
    assert await ids(again, state="NEW") == "a"
    with pytest.raises(Corrupt):
        await again.apply("other", [entry(2, "b")])
    with pytest.raises(Unavailable):
        await open_runs(view.path)
    await again.close()


async def test_invalid_query_is_rejected(view: RunsProjection) -> None:
    for wanted in ({"first": 0}, {"first": 100_000}, {"after": "garbage"}):
        with pytest.raises(Rejected):
            await view.list(**wanted)  # pyright: ignore[reportArgumentType]
    with pytest.raises(Corrupt):
        decode_run(b"no run")


def test_record_is_read_as_written() -> None:
    run = Run(
        "a", "faces", "detect", state="FAILED", args={"image": "x"}, error=RunError("REJECTED", "no face"), ended=NOW
    )
    assert decode_run(encode_run(run)) == run


STATES = ("NEW", "IN_PROGRESS", "DONE", "FAILED")
steps = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from((*STATES, "", "all"))), max_size=30)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(steps, max_size=4))
async def test_tally_matches_the_table_for_any_records(tmp_path: Path, batches: list[list[tuple[str, str]]]) -> None:
    path = tmp_path / f"{uuid.uuid4().hex}.sqlite"
    opened, number = await open_runs(path), 0
    for batch in batches:
        entries: list[RunEntry] = []
        for id, state in batch:
            number += 1
            made = entry(number, id, state=state if state in STATES else "NEW", app="even" if id in "ac" else "odd")
            if state == "":
                made = RunEntry(number, made.subject, NOW, b"")
            elif state == "all":
                made = RunEntry(number, f"run.{made.subject.split('.')[1]}.{'.'.join(FORGOTTEN)}", NOW, b"")
            entries.append(made)
        if entries:
            await opened.apply("e", entries)
        known = (await opened.list(first=1000)).runs
        assert opened.tally == Counter((run.app, run.state) for run in known)
    tally = opened.tally
    await opened.close()
    again = await open_runs(path)
    assert again.tally == tally
    await again.close()
