"""The runs projection: the last record of every run, in a SQLite file of its own, to list, look up and count."""

# ruff: noqa: S608 - the SQL is put together of this file's own words; values are always bound

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from pcloud.errors import Corrupt, Rejected
from pcloud.subject import ActionRef
from projections.checkpoint import START, Checkpoint
from projections.graph.sqlite.connection import errors_told, open_connection
from projections.lock import acquire
from projections.retention import DONE_RUN_DAYS
from projections.runs.log import FORGOTTEN, RunEntry
from projections.runs.record import Run, RunState, decode_run

__all__ = ["RunPage", "RunsProjection", "open_runs"]

log = logging.getLogger(__name__)

MOST = 1000
DROP_EVERY = 600.0
_TABLES = """
CREATE TABLE IF NOT EXISTS view (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, app TEXT NOT NULL, state TEXT NOT NULL, "trigger" TEXT NOT NULL, created REAL NOT NULL, ended REAL,
  sequence INTEGER NOT NULL, generation INTEGER NOT NULL, event INTEGER NOT NULL,
  entity TEXT NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, created, id);
CREATE INDEX IF NOT EXISTS runs_by_app ON runs (app, state, created, id);
CREATE INDEX IF NOT EXISTS runs_by_age ON runs (created, id);
CREATE INDEX IF NOT EXISTS runs_by_replay ON runs ("trigger", generation, state, event) WHERE "trigger" <> '';
CREATE INDEX IF NOT EXISTS runs_by_entity ON runs (entity) WHERE entity <> '';
CREATE INDEX IF NOT EXISTS runs_done ON runs (ended) WHERE state = 'DONE';
"""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first, and the cursor for the next page (`after`; None: this was the last page)."""

    runs: Sequence[Run]
    after: str | None


async def open_runs(path: Path | str) -> RunsProjection:
    """Open or create the projection at `path`. Raises `Unavailable` if it is open elsewhere, `Corrupt` if the file is not a
    projection of runs."""
    projection = RunsProjection(Path(path))
    await projection.open()
    return projection


class RunsProjection:
    """A target of the projection loop over `RunLog`. The code that opens it closes it."""

    name = "runs"
    version = 2

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint: Checkpoint = START
        self._drop_at = 0.0
        self._tally: Counter[tuple[str, str]] = Counter()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="runs-write")
        self._stack = contextlib.ExitStack()

    async def apply(self, epoch: str, events: Sequence[RunEntry]) -> Checkpoint:
        if self.checkpoint.epoch not in ("", epoch):
            raise Corrupt(f"the view {self.path} was folded from the log {self.checkpoint.epoch}, and this is {epoch}")
        new = [entry for entry in events if entry.sequence > self.checkpoint.sequence]
        if new:
            await asyncio.get_running_loop().run_in_executor(self._writing, self._apply, epoch, new)
        return self.checkpoint

    def _apply(self, epoch: str, entries: list[RunEntry]) -> None:
        last = entries[-1]
        tally = self._tally.copy()
        with errors_told(self.path), self._transaction():
            # Only the last state of each run counts; a mark for all runs of an app removes the states before it.
            newest: dict[str, RunEntry] = {}
            for entry in entries:
                run = ActionRef.of_subject(entry.subject)
                if run[1:] == FORGOTTEN:
                    self._put(newest, tally)
                    newest.clear()
                    self._writer.execute("DELETE FROM runs WHERE app = ?", (run.app,))
                    tally = Counter({key: count for key, count in tally.items() if key[0] != run.app})
                else:
                    newest[run.id] = entry
            self._put(newest, tally)
            self._drop_old(last.time, tally)
            checkpoint = msgspec.json.encode([epoch, last.sequence]).decode()
            self._writer.execute("INSERT OR REPLACE INTO view VALUES ('checkpoint', ?)", (checkpoint,))
        self.checkpoint, self._tally = Checkpoint(epoch, last.sequence, 0), tally

    def _put(self, entries: dict[str, RunEntry], tally: Counter[tuple[str, str]]) -> None:
        gone = [(id,) for id, entry in entries.items() if not entry.body]
        known = {row[0]: row for entry in entries.values() if entry.body and (row := _row(entry)) is not None}
        rows = list(known.values())
        before = "SELECT app, state FROM runs WHERE id = ?"
        for (id,) in (*gone, *((id,) for id in known)):
            tally.subtract(self._writer.execute(before, (id,)).fetchall())
        tally.update((row[1], row[2]) for row in rows)
        self._writer.executemany("DELETE FROM runs WHERE id = ?", gone)
        self._writer.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _drop_old(self, now: float, tally: Counter[tuple[str, str]]) -> None:
        """Occasionally drop DONE runs: they expire in the stream without a message."""
        if now >= self._drop_at:
            gone = "DELETE FROM runs WHERE state = 'DONE' AND ended < ? RETURNING app, state"
            tally.subtract(self._writer.execute(gone, (now - DONE_RUN_DAYS * 86400,)).fetchall())
            self._drop_at = now + DROP_EVERY

    async def get(self, id: str) -> Run | None:
        with errors_told(self.path):
            row = self._reader.execute("SELECT record FROM runs WHERE id = ?", (id,)).fetchone()
        return decode_run(row[0]) if row else None

    async def list(
        self,
        app: str | None = None,
        state: str | None = None,
        trigger: str | None = None,
        first: int = 50,
        after: str | None = None,
    ) -> RunPage:
        """Runs, newest first; `first` at most 1000."""
        if not 0 < first <= MOST:
            raise Rejected(f"`first` must be from 1 to {MOST}")
        wanted = [("app", app), ("state", state), ('"trigger"', trigger)]
        where = [f"{column} = ?" for column, value in wanted if value is not None]
        values: list[Any] = [value for _, value in wanted if value is not None]
        if after is not None:
            where.append("(created, id) < (?, ?)")
            values += _decode_cursor(after)
        condition = " AND ".join(where) or "1"
        sql = f"SELECT record, created, id FROM runs WHERE {condition} ORDER BY created DESC, id DESC LIMIT ?"
        with errors_told(self.path):
            rows = self._reader.execute(sql, [*values, first + 1]).fetchall()
        page = rows[:first]
        return RunPage([decode_run(row[0]) for row in page], _cursor(*page[-1][1:]) if len(rows) > first else None)

    async def about(self, entities: Sequence[str]) -> Sequence[Run]:
        """The runs that events of these entities (`app/Type/id`) started."""
        sql = "SELECT record FROM runs WHERE entity = ? AND entity <> ''"
        with errors_told(self.path):
            rows = [row for entity in entities for row in self._reader.execute(sql, (entity,))]
        return [decode_run(record) for (record,) in rows]

    async def unfinished(self) -> Sequence[tuple[Run, int]]:
        """All runs that have not ended, with the sequence of their record: what core has in hand, and what it has abandoned."""
        with errors_told(self.path):
            rows = self._reader.execute(
                "SELECT record, sequence FROM runs WHERE state IN ('NEW', 'IN_PROGRESS')"
            ).fetchall()
        return [(decode_run(record), sequence) for record, sequence in rows]

    async def oldest_done(self, first: int) -> Sequence[tuple[Run, int]]:
        """The runs that have been DONE for longest, with the sequence of their record."""
        sql = "SELECT record, sequence FROM runs WHERE state = 'DONE' ORDER BY ended LIMIT ?"
        with errors_told(self.path):
            rows = self._reader.execute(sql, (first,)).fetchall()
        return [(decode_run(record), sequence) for record, sequence in rows]

    @property
    def tally(self) -> Mapping[tuple[str, str], int]:
        """The number of runs by app and state: counted as they arrive, so reading it is free."""
        return {key: count for key, count in self._tally.items() if count}

    async def counts(self, app: str | None = None) -> dict[str, int]:
        """The number of runs in each state; every state is named."""
        counts: dict[str, int] = dict.fromkeys(get_args(RunState), 0)
        for (one, state), count in self._tally.items():
            if app in (None, one):
                counts[state] += count
        return counts

    async def ended(self, trigger: str, generation: int, since: int, until: int) -> dict[str, int]:
        """The number of a replay's runs in each state that occurs; for events from `since` to `until`."""
        sql = (
            'SELECT state, count(*) FROM runs WHERE "trigger" = ? AND generation = ? AND "trigger" <> \'\' '
            "AND event BETWEEN ? AND ? GROUP BY state"
        )
        with errors_told(self.path):
            return dict(self._reader.execute(sql, (trigger, generation, since, until)).fetchall())

    async def close(self) -> None:
        """Finish what is being written, then close; closing twice does nothing."""
        await asyncio.get_running_loop().run_in_executor(None, self._shut)

    def _shut(self) -> None:
        self._writing.shutdown(wait=True)
        self._stack.close()

    async def open(self) -> None:
        """Once, before anything else."""
        await asyncio.get_running_loop().run_in_executor(self._writing, self._open)

    def _open(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(acquire(self.path).release)
            self._writer = stack.enter_context(contextlib.closing(open_connection(self.path, cache_mb=2, write=True)))
            with errors_told(self.path):
                if self._writer.execute("PRAGMA user_version").fetchone()[0] != self.version:
                    # Tables of another version: the runs are folded again from the stream.
                    self._writer.executescript(
                        f"DROP TABLE IF EXISTS view; DROP TABLE IF EXISTS runs; PRAGMA user_version = {self.version};"
                    )
                self._writer.executescript(_TABLES)
                saved = self._writer.execute("SELECT value FROM view WHERE name = 'checkpoint'").fetchone()
                counted = "SELECT app, state, count(*) FROM runs GROUP BY app, state"
                self._tally = Counter({(app, state): count for app, state, count in self._writer.execute(counted)})
            self._reader = stack.enter_context(contextlib.closing(open_connection(self.path, cache_mb=2, write=False)))
            if saved:
                epoch, sequence = msgspec.json.decode(saved[0])
                self.checkpoint = Checkpoint(epoch, sequence, 0)
            self._stack = stack.pop_all()

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._writer.execute("BEGIN")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise


def _row(entry: RunEntry) -> tuple[Any, ...] | None:
    try:
        run = decode_run(entry.body)
    except Corrupt as error:
        # It can't be removed from the stream, and must not hide all other runs.
        log.error("%s; message %s of RUNS is passed over", error, entry.sequence)
        return None
    return (
        run.id, run.app, run.state, run.trigger, run.created, run.ended, entry.sequence, run.generation, run.sequence,
        run.entity, entry.body,
    )  # fmt: skip


def _cursor(created: float, id: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([created, id])).decode().rstrip("=")


def _decode_cursor(text: str) -> tuple[float, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[float, str])
    except (msgspec.MsgspecError, ValueError) as error:
        raise Rejected(f"{text[:80]!r} is not a cursor: send back what PCloud gave you, unchanged") from error
