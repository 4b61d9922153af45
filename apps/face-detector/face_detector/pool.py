"""The workers as the app sees them: started when there is work, at most `parallel`, ended when idle, replaced when
dead.

A picture that takes too long or kills its worker is refused (`Rejected`), and only that one: the next one gets a new
worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcloud.errors import Rejected, Unavailable, error_from_code

from .face import Face
from .settings import Settings

__all__ = ["Detected", "Pool"]

_START_SECONDS = 60.0
_ANSWER_BYTES = 8 * 2**20
# A process that decodes untrusted bytes gets no variable that names a secret of the app.
_PASSED_ON = ("PATH", "LANG", "LD_LIBRARY_PATH")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Detected:
    detector: str
    version: str
    faces: list[Face]


class Pool:
    """Use as `async with`; leaving it ends all workers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.parallel)
        self._resting: list[_Worker] = []

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._resting:
            await self._resting.pop().end()

    async def detect(self, path: Path) -> Detected:
        """The faces of the picture at `path`. Raises `Rejected` if the picture is at fault, `Unavailable` if the
        machine is."""
        async with self._slots:
            worker = self._rested() or await _Worker.start(self._settings)
            try:
                answer = await worker.ask({"path": str(path)}, self._settings.seconds)
            except BaseException:
                await worker.end()
                raise
            self._rest(worker)
        _raise_for(answer)
        return Detected(worker.name, worker.version, [_face(face) for face in answer["faces"]])

    def _rested(self) -> _Worker | None:
        while self._resting:
            worker = self._resting.pop()
            worker.idle.cancel()
            if worker.alive:
                return worker
        return None

    def _rest(self, worker: _Worker) -> None:
        """The latest goes first next time, so that the others can become idle."""
        loop = asyncio.get_running_loop()
        worker.idle = loop.call_later(self._settings.idle, self._retire, worker)
        self._resting.append(worker)

    def _retire(self, worker: _Worker) -> None:
        self._resting.remove(worker)
        worker.kill()


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.name = self.version = ""
        self.idle: asyncio.TimerHandle

    @classmethod
    async def start(cls, settings: Settings) -> _Worker:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"{__package__}.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
                limit=_ANSWER_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"the detector's process cannot be started: {error}") from error
        worker = cls(process)
        setup = {"detector": settings.detector, "model": settings.model}
        limits = {"memory": int(settings.memory), "pixels": int(settings.pixels)}
        try:
            hello = await worker.ask(setup | limits, _START_SECONDS)
            _raise_for(hello)
        except BaseException as error:
            await worker.end()
            if isinstance(error, Rejected):  # before any picture
                raise Unavailable(f"the detector does not start: {error.message}") from error
            raise
        worker.name, worker.version = hello["name"], hello["version"]
        return worker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            async with asyncio.timeout(seconds):
                self._process.stdin.write(json.dumps(job).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
                if line.endswith(b"\n"):
                    return json.loads(line)
                status = await self._process.wait()
        except TimeoutError as error:
            raise Rejected(f"the picture took longer than {seconds:g} s and was abandoned") from error
        except (ConnectionError, ValueError) as error:
            raise Rejected(f"the picture broke the detector's process: {error}") from error
        if status == -signal.SIGKILL:
            raise Unavailable("the detector's process was killed, perhaps because memory ran out; it will be retried")
        raise Rejected(f"the picture ended the detector's process ({_told(status)})")

    def kill(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        with contextlib.suppress(AttributeError):
            self.idle.cancel()
        self.kill()
        await self._process.wait()


def _environment() -> dict[str, str]:
    """The worker imports the same modules as the app, from the same places."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _raise_for(answer: dict[str, Any]) -> None:
    if error := answer.get("error"):
        raise error_from_code(error["code"], error["message"])


def _face(row: dict[str, Any]) -> Face:
    return Face(**{**row, "landmarks": tuple(row["landmarks"])})


def _told(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit code {status}"
