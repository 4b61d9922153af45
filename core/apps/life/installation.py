"""The steps that bring an app from its entity in the log to a running process. Each step can be repeated.

    unpack        its archive, from the log's object bucket
    environment   its locked packages and the SDK
    credentials   its key for the bus; the public half is written to its entity
    consumers     of its triggers
    process       its gateway and its process
    settle        wait until the process has stayed up, and listens if it has pages; a new version also has to be ready
    init          its init actions, in order
    running       recorded on its entity

During an installation or upgrade each step is an event on the app's entity, written before the step begins. If the
node dies in the middle, its next start finds the app INSTALLING (or UPGRADING) and begins again at the first step:
completed steps find their work done. Before the first step nothing but an archive in the object bucket exists; see
`Apps.install`.
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
    """The installation of one app. `recorded`: each step is written as an event."""

    def __init__(self, instance: Instance, parts: AppParts, progress: Progress, *, recorded: bool):
        self._instance = instance
        self._app = instance.app
        self._parts = parts
        self._progress = progress
        self._recorded = recorded

    async def start(self) -> None:
        """Run every step up to a supervised process; a node's start does this for each app."""
        await self.step("unpack", self._app.archive[:12])
        await self._instance.unpack(self._parts.core.store.archives.fetch)
        await self.step("environment", self._app.name)
        await self._instance.provide_environment()
        await self.step("credentials", self._app.name)
        await self._credentials()
        await self.step("consumers", f"triggers: {len(self._app.manifest.triggers)}")
        await self._parts.core.processor.attach(self._app)
        await self.step("process", self._app.name)
        await self._instance.start()

    async def settle(self, *, new: bool) -> None:
        """`new`: it also has to be ready. A version that worked before may wait for its camera, as long as that takes."""
        await self.step("settle", self._app.name)
        await self._instance.settled()
        if new:
            await self._instance.ready()

    async def init(self, inits: Sequence[tuple[int, Init]]) -> None:
        """Run these init actions, with their numbers, one after the other."""
        for number, init in inits:
            await self.step("init", init.call)
            await self._init(number, init)

    async def running(self, error: str = "") -> None:
        """Record the last step and the state RUNNING."""
        await self._parts.registry.become(self._app.name, AppState.RUNNING, error, step="running", paused=None)
        self._progress("running", self._app.name)

    async def step(self, name: str, detail: str) -> None:
        if self._recorded:
            await self._parts.registry.step(self._app.name, name)
        self._progress(name, detail)

    async def _credentials(self) -> None:
        public = self._instance.provide_credentials()
        if public != self._app.nkey:
            await self._parts.registry.set_bus_key(self._app.name, public)
        await self._parts.local.admit(self._app.name, public)

    async def _init(self, number: int, init: Init) -> None:
        """Run it with an id that stays the same after a kill, so that a completed init action is not repeated; a new
        installation or upgrade has another id."""
        app, seconds = self._app, self._parts.settings.init_seconds
        installation = "\0".join((app.installed_at, app.previous.at if app.previous else ""))
        try:
            await self._parts.core.processor.run_init(
                app.name, number, init.call, init.args, installation=installation, seconds=seconds
            )
        except PCloudError as error:
            what = f"init action {number + 1} ({init.call}) of {app.name}"
            raise type(error)(f"{what} failed: {error.message}") from error


async def bring_up(
    parts: AppParts,
    instance: Instance,
    progress: Progress,
    inits: Sequence[tuple[int, Init]],
    *,
    new: bool,
    recorded: bool = True,
) -> Installation:
    """Run all steps but the last one, as events; leaves nothing running if one fails. `new`: see `settle`."""
    steps = Installation(instance, parts, progress, recorded=recorded)
    try:
        await steps.start()
        await steps.settle(new=new)
        await steps.init(inits)
    except BaseException:
        await instance.stop()
        raise
    return steps
