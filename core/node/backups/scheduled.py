"""Makes and proves backups by the schedule, one at a time, each in a process of its own that ends with the node.

Nothing is remembered of a backup that did not end: what is due follows from the schedule and from the last backup that did, so
one that was missed or cut is made up after the next start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any

import msgspec

from core.node.backups.known import Known, known_places, remember
from core.node.backups.revocations import LIST
from core.node.backups.schedule import Schedule, next_at, next_step, read_schedule
from core.node.backups.since import RevokedSince
from core.node.child import ending_with_us
from core.node.folder import DataFolder
from pcloud.errors import PCloudError, Unavailable

__all__ = ["ScheduledBackups"]

log = logging.getLogger("pcloud.backup")
LOOK_SECONDS = 2.0
# After a failure. A proof reads everything, which may cost money.
RETRY_SECONDS = {"take": 3600.0, "verify": 86400.0, "list": 600.0}
WHAT = {
    "take": "backup",
    "verify": "proof of the newest backup",
    "list": "list of what was revoked since the last backup",
}
BUSY_SECONDS = 300.0
BUSY = 4  # the exit code of `pcloud` for a conflict: another backup runs, or another program works at the place
LONGEST_SECONDS = 86400.0
PROGRAM = "from core.cli import main; main()"


class ScheduledBackups:
    """`keep` is the loop. `failure`: why the last backup or proof by the schedule failed, '' otherwise. `running`: what runs now.
    `unreadable`: why the schedule that exists can't be read. `cloud_since`: when the cloud's first event was stored."""

    def __init__(self, folder: DataFolder, since: RevokedSince) -> None:
        self._data, self._list, self._since = folder.root.absolute(), folder.runtime.absolute() / LIST, since
        self.schedule: Schedule | None = None
        self.failure = self.running = self.unreadable = ""
        self.cloud_since = time.time()
        self._not_before = 0.0  # by the monotonic clock
        self._listed: Known | None = None  # the place as it was when the newest list was stored there

    @property
    def places(self) -> dict[str, Known]:
        return known_places(self._data)

    def told(self) -> dict[str, Any] | None:
        """What `pcloud status` shows: no secrets. None without a schedule."""
        if (schedule := self.schedule) is None:
            return None
        known = self.places.get(schedule.place, Known())
        return {
            "place": schedule.place, "every": schedule.every, "at": schedule.at, "taken": known.taken, "proven": known.proven,
            "next": next_at(schedule, time.time()), "running": self.running, "failure": self.failure,
        }  # fmt: skip

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            if (schedule := self.schedule) is not None and time.monotonic() >= self._not_before:
                known = self.places.get(schedule.place, Known())
                if step := next_step(schedule, known, time.time()):
                    await self._run(schedule, step, *_arguments(schedule, step))
                elif known.taken:
                    await self._store_list(schedule, known)
            await asyncio.sleep(LOOK_SECONDS)

    async def _store_list(self, schedule: Schedule, known: Known) -> None:
        """Store what was revoked and forgotten since the last backup beside it, if that is not there yet."""
        if not self._since.changed and known == self._listed:
            return
        try:
            listed = await self._since.list(known.sequence)
            if listed.digest != known.listed:
                await asyncio.to_thread(self._list.write_bytes, msgspec.json.encode(listed))
                if not await self._run(schedule, "list", "--list", str(self._list)):
                    return
                remember(self._data, schedule.place, listed=listed.digest)
            self._listed = self.places.get(schedule.place)
        except (PCloudError, OSError) as error:
            log.warning("what was revoked since the last backup can't be listed now: %s", error)

    def look(self) -> None:
        """Read the schedule."""
        before = self.schedule
        try:
            self.schedule, self.unreadable = read_schedule(self._data), ""
        except Unavailable as error:
            self.schedule, self.unreadable = None, error.message
        if before != self.schedule:
            self.failure, self._not_before = "", 0.0

    async def _run(self, schedule: Schedule, step: str, *arguments: str) -> bool:
        """Return True if it succeeded."""
        self.running = step
        began = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                code, said = await self._pcloud(schedule, *arguments)
        except TimeoutError:
            code, said = 1, "it took longer than a day"
        except OSError as error:
            code, said = 1, f"it could not be started: {error}"
        finally:
            self.running = ""
        if code == BUSY:
            self._not_before = time.monotonic() + BUSY_SECONDS
        elif code:
            self._not_before, self.failure = time.monotonic() + RETRY_SECONDS[step], f"the {WHAT[step]} failed: {said}"
            log.error("%s", self.failure)
        else:
            self.failure = ""
            log.info("the %s at %s took %.0f s", WHAT[step], schedule.place, time.monotonic() - began)
        return code == 0

    async def _pcloud(self, schedule: Schedule, *arguments: str) -> tuple[int, str]:
        """Return the exit code, and the error in one sentence."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as pipe:
            pipe.write(schedule.passphrase)
        try:
            process = await asyncio.create_subprocess_exec(
                *ending_with_us(sys.executable, "-P", "-c", PROGRAM, "backup", "now", schedule.place, *arguments),
                *(["--plain-http"] if schedule.plain_http else []),
                "--data", str(self._data), "--passphrase-file", f"/dev/fd/{reading}", "--json",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
                pass_fds=(reading,), env={**os.environ, **schedule.keys},
            )  # fmt: skip
        finally:
            os.close(reading)
        try:
            _, errors = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return process.returncode or 0, _reason(errors.decode(errors="replace"), process.returncode)


def _arguments(schedule: Schedule, step: str) -> list[str]:
    if step == "verify":
        return ["--verify"]
    return [f"--keep-{name}={getattr(schedule, f'keep_{name}')}" for name in ("daily", "weekly", "monthly")]


def _reason(errors: str, code: int | None) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return (said or lines or [f"it ended with {code}"])[-1]
