"""The steps that bring an app from its node in the log to a running process, each of which can be done again.

    unpack        its archive, from the log's object bucket
    environment   its locked packages and the SDK
    credentials   its key for the bus, the public half written to its node
    consumers     of its triggers
    process       its gateway and its process
    settle        which has to stay up, and to listen if it has pages
    init          its init actions, in order
    running       its node says so

During an installation or upgrade each one is an event on the app's node before it begins. A node that dies in the
middle finds the app INSTALLING (or UPGRADING) at its next start and begins again at the first step: what was done is
found done. Before the first step nothing but an archive in the object bucket exists; see `Apps.install`.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.apps.life.parts import AppParts, Progress
from core.apps.process.instance import Instance
from pcloud.errors import PCloudError
from pcloud.manifest import Init
from projections.directory import AppState

__all__ = ["Installation", "bring_up"]


class Installation:
    """One app on its way. `recorded`: each step is an event."""

    def __init__(self, instance: Instance, parts: AppParts, progress: Progress, *, recorded: bool):
        self._instance = instance
        self._app = instance.app
        self._parts = parts
        self._progress = progress
        self._recorded = recorded

    async def start(self) -> None:
        """Everything up to a process that is being kept running; what a node does for each app when it starts."""
        await self.step("unpack", self._app.archive[:12])
        await self._instance.unpack(self._parts.store.archives.fetch)
        await self.step("environment", self._app.name)
        await self._instance.provide_environment()
        await self.step("credentials", self._app.name)
        await self._credentials()
        await self.step("consumers", f"triggers: {len(self._app.manifest.triggers)}")
        await self._parts.processor.attach(self._app)
        await self.step("process", self._app.name)
        await self._instance.start()

    async def settle(self) -> None:
        await self.step("settle", self._app.name)
        await self._instance.settled()

    async def init(self, inits: Sequence[tuple[int, Init]]) -> None:
        """These init actions, with their numbers, one after the other."""
        for number, init in inits:
            await self.step("init", init.call)
            await self._init(number, init)

    async def running(self, error: str = "") -> None:
        """The last step, and the end of the way."""
        await self._parts.nodes.become(self._app.name, AppState.RUNNING, error, step="running", paused=None)
        self._progress("running", self._app.name)

    async def step(self, name: str, detail: str) -> None:
        if self._recorded:
            await self._parts.nodes.step(self._app.name, name)
        self._progress(name, detail)

    async def _credentials(self) -> None:
        public = self._instance.provide_credentials()
        if public != self._app.nkey:
            await self._parts.nodes.set_bus_key(self._app.name, public)
        await self._parts.local.admit(self._app.name, public)

    async def _init(self, number: int, init: Init) -> None:
        """In a run of its own that is the same after a kill, so that what was done is not done again; another one after
        a removal, and for each upgrade."""
        app, seconds = self._app, self._parts.settings.init_seconds
        installation = "\0".join((app.installed_at, app.previous.at if app.previous else ""))
        try:
            await self._parts.processor.run_init(
                app.name, number, init.call, init.args, installation=installation, seconds=seconds
            )
        except PCloudError as error:
            what = f"init action {number + 1} ({init.call}) of {app.name}"
            raise type(error)(f"{what} failed: {error.message}") from error


async def bring_up(
    parts: AppParts, instance: Instance, progress: Progress, inits: Sequence[tuple[int, Init]], *, recorded: bool = True
) -> Installation:
    """All steps but the last one, as events; leaves nothing running when one fails."""
    steps = Installation(instance, parts, progress, recorded=recorded)
    try:
        await steps.start()
        await steps.settle()
        await steps.init(inits)
    except BaseException:
        await instance.stop()
        raise
    return steps
