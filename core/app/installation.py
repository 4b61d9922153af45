"""The steps that bring an app from its node in the log to a running process, each of which can be done again.

    unpack        its archive, from the log's object bucket
    environment   its locked packages and the SDK
    credentials   its key for the bus, the public half written to its node
    consumers     of its triggers
    process       its gateway and its process, which has to stay up
    init          its init actions, in order
    running       its node says so

A node that dies in the middle finds the app INSTALLING at its next start and begins again at the first step: what
was done is found done. Before the first step nothing but an archive in the object bucket exists; see `Apps.install`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from core.app.instance import Instance
from core.app.nodes import AppNodes
from core.app.ports import Calls, Processor, Store
from core.app.record import AppState
from core.caller import Caller, RunContext
from pcloud.errors import PCloudError, Unavailable
from pcloud.manifest import Init

__all__ = ["Installation", "Progress"]

log = logging.getLogger("pcloud.app")
Progress = Callable[[str, str], None]
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 3.0


class Installation:
    """One app on its way. `admit`: lets the app with this public key onto the bus."""

    def __init__(
        self,
        instance: Instance,
        *,
        nodes: AppNodes,
        store: Store,
        processor: Processor,
        calls: Calls,
        admit: Callable[[str, str], Awaitable[None]],
        progress: Progress,
        init_seconds: float,
    ):
        self._instance = instance
        self._app = instance.app
        self._nodes = nodes
        self._store = store
        self._processor = processor
        self._calls = calls
        self._admit = admit
        self._progress = progress
        self._init_seconds = init_seconds

    async def start(self) -> None:
        """Everything up to a process that is being kept running; what a node does for each app when it starts."""
        self._progress("unpack", self._app.archive[:12])
        await self._instance.unpack(self._store.archives.get)
        self._progress("environment", self._app.name)
        await self._instance.provide_environment()
        self._progress("credentials", self._app.name)
        await self._credentials()
        self._progress("consumers", f"{len(self._app.manifest.triggers)} triggers")
        await self._processor.attach(self._app)
        self._progress("process", self._app.name)
        await self._instance.start()

    async def finish(self) -> None:
        """After `start`, the first time: the process stays up, the init actions are done, the node says RUNNING."""
        await self._instance.settled()
        for number, init in enumerate(self._app.manifest.init):
            self._progress("init", init.call)
            await self._init(number, init)
        self._progress("running", self._app.name)
        await self._nodes.become(self._app.name, AppState.RUNNING)

    async def _credentials(self) -> None:
        public = self._instance.provide_credentials()
        if public != self._app.nkey:
            await self._nodes.set_bus_key(self._app.name, public)
        await self._admit(self._app.name, public)

    async def _init(self, number: int, init: Init) -> None:
        """Call until it works: the app that answers may be starting too. Any other refusal is final."""
        pause = FIRST_PAUSE
        last: PCloudError | None = None
        what = f"init action {number + 1} ({init.call}) of {self._app.name}"
        try:
            async with asyncio.timeout(self._init_seconds):
                while True:
                    try:
                        return await self._call_in_run(number, init)
                    except Unavailable as error:
                        log.info("%s waits: %s", what, error)
                        last = error
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        except TimeoutError as error:
            reason = last or "it gave no answer"
            raise Unavailable(f"{what} did not work within {self._init_seconds:.0f} s: {reason}") from error
        except PCloudError as error:
            raise type(error)(f"{what} failed: {error.message}") from error

    async def _call_in_run(self, number: int, init: Init) -> None:
        """In a run of its own that is the same each time, so that whoever answers finds what it did before a kill."""
        app = self._app
        key = "\0".join(("init", app.name, app.installed_at, str(number)))
        target = init.call if "/" in init.call else f"{app.name}/{init.call}"
        token = self._calls.runs.open(RunContext(hashlib.sha256(key.encode()).hexdigest()[:32]), app.name)
        try:
            await self._calls.call(Caller("app", app.name), target, init.args, run_token=token)
        finally:
            self._calls.runs.close(token)
