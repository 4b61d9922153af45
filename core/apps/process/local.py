"""The apps' part of this node: which apps run here, which may sign in on the bus, and the work in progress on each.

Work on one app is serialized. Work that only waits, as before another attempt to start, yields to the owner's
requests.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any

from core.apps.process.credentials import web_key
from core.apps.process.folders import ENVIRONMENTS
from core.apps.process.instance import Instance
from core.apps.process.reach import Reach
from core.apps.process.venv import Environments
from core.apps.protocols import CoreServices
from core.apps.sandbox.cell import Alarms
from core.apps.sandbox.inside import Inside
from core.apps.settings import AppSettings
from core.apps.signing.author import Author
from pcloud.errors import Conflict, NotFound, PCloudError, Unavailable
from projections.directory import App

__all__ = ["LocalApps"]

log = logging.getLogger("pcloud.app")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class LocalApps:
    """Call `stop_all` when the node stops. `on_limit` receives app, kind and sentence for each limit that an app hits;
    `on_pause` receives app and reason if one has to be paused; `on_done` is called after any work on an app."""

    def __init__(
        self, settings: AppSettings, core: CoreServices, reach: Reach,
        on_limit: Callable[[str, str, str], None], on_pause: Callable[[str, str], None], on_done: Callable[[], None],
    ):  # fmt: skip
        self.settings = settings
        self.environments = Environments(
            settings.folder / ENVIRONMENTS, settings.sdk, cache=settings.cache, seconds=settings.install_seconds
        )
        self.instances: dict[str, Instance] = {}
        # Why an app that should run does not run, by its name.
        self.troubles: dict[str, str] = {}
        # How far long work on an app is, by its name.
        self.doing: dict[str, str] = {}
        # Held from a decision on the state of all apps until it is carried out.
        self.deciding = asyncio.Lock()
        self._core = core
        self._reach = reach
        self._on_limit = on_limit
        self._on_pause = on_pause
        self._on_done = on_done
        self._users: dict[str, str] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[asyncio.Task[None]] = set()

    # --- instances ----------------------------------------------------------------------------------------------------

    def new(self, app: App) -> Instance:
        """Return an instance that is not registered yet."""
        return Instance(
            app, self.settings, self.environments, self._core, self._reach,
            Alarms(partial(self._on_limit, app.name), partial(self._on_pause, app.name)),
        )  # fmt: skip

    async def make(self, app: App) -> Instance:
        """Stop the app's instance, then make a new one in its place."""
        await self.drop(app.name)
        self.instances[app.name] = self.new(app)
        return self.instances[app.name]

    async def drop(self, name: str) -> None:
        if (instance := self.instances.pop(name, None)) is not None:
            await instance.stop()

    def started(self, name: str) -> bool:
        return name in self.instances and self.instances[name].started

    def lacks_ports(self, name: str, of: Collection[str]) -> bool:
        """Return True if the app may reach a port of these others that did not exist when it started."""
        return name in self.instances and self.instances[name].lacks_ports(of)

    def web_address(self, name: str) -> tuple[str, int] | Inside | None:
        instance = self.instances.get(name)
        return instance.web_address if instance else None

    async def connect(self, name: str, port: str) -> socket.socket:
        """Return a connection to a port that the app publishes. Raises `Unavailable` while it does not run, or has no such port."""
        instance = self.instances.get(name)
        if instance is None or instance.app.manifest.run is None or port not in instance.app.manifest.run.ports:
            raise Unavailable(f"{name} does not run, or has no port {port}")
        return await self._reach.ports.connect(name, self._reach.ports.published(name, port).port)

    def web_key(self, name: str) -> bytes:
        if name not in self.instances:
            raise NotFound(f"the app {name!r} does not run here")
        return web_key(self.instances[name].folders.web_key)

    def web_names(self) -> list[tuple[str, str, str]]:
        pages = [
            (name, instance.app.title, Author.of(instance.app).short)
            for name, instance in self.instances.items()
            if instance.app.web
        ]
        return sorted(pages, key=lambda page: page[1].casefold())

    # --- the bus ------------------------------------------------------------------------------------------------------

    async def set_users(self, users: Mapping[str, str]) -> None:
        """Allow exactly these apps to sign in, with these public keys."""
        self._users = dict(users)
        await self._core.server.set_app_users(dict(self._users))

    async def admit(self, name: str, public: str) -> None:
        await self.set_users({**self._users, name: public})

    async def expel(self, name: str) -> None:
        """Cut this app's connections to the bus, and only these."""
        await self.set_users({other: key for other, key in self._users.items() if other != name})

    # --- work ---------------------------------------------------------------------------------------------------------

    def begin(self, name: str, work: Coroutine[Any, Any, None], *, waiting: bool = False) -> asyncio.Task[None]:
        """Do `work` on the app, even if the caller is cancelled. `waiting`: it yields to any other work."""
        task = asyncio.create_task(work, name=f"app {name}")
        self._work[name] = task
        task.add_done_callback(partial(_tell, name))
        task.add_done_callback(lambda _: self._on_done())
        if waiting:
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        return task

    def busy(self, name: str) -> bool:
        """Return True if work on the app is in progress or waiting."""
        task = self._work.get(name)
        return task is not None and not task.done()

    def check_idle(self, name: str) -> None:
        """Raises `Conflict` while work on the app is in progress that does not yield."""
        task = self._work.get(name)
        if task is not None and not task.done() and task not in self._waiting:
            raise Conflict(f"{name} is being installed, upgraded or removed right now: wait until that is done")

    async def idle(self, name: str) -> None:
        """Wait until no work on the app is in progress, except work that yields."""
        while (task := self._work.get(name)) is not None and not task.done() and task not in self._waiting:
            await asyncio.wait([task])

    async def cancel(self, name: str) -> None:
        if (task := self._work.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def keep_trying(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start an app that was running before, or continue its removal, with as many attempts as that takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except Exception as error:
                self.troubles[name] = str(error)
                log.warning(
                    "%s can't be started or removed, trying again in %.0f s: %s", name, pause, error,
                    exc_info=not isinstance(error, PCloudError | OSError),
                )  # fmt: skip
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop_all(self) -> None:
        await asyncio.gather(*(self.cancel(name) for name in list(self._work)))
        await asyncio.gather(*(instance.stop() for instance in self.instances.values()))
        self.instances.clear()

    async def settled(self) -> None:
        """Wait until all work that was begun is done."""
        if tasks := [task for task in self._work.values() if not task.done()]:
            await asyncio.wait(tasks)


def _tell(name: str, done: asyncio.Task[None]) -> None:
    """Retrieve the task's error, because its caller may no longer wait for it."""
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("%s: %s", name, error)
