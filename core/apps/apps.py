"""The apps of this cloud, as this node runs them: the owner's requests, and start and stop with the node.

The log alone records what is installed (`core/App`, `core/Grant`); this node's files can be made again from it. If
the node dies during an installation, upgrade, rollback or removal, the next start continues it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.apps.archive.staged_archives import STAGED, Staged
from core.apps.detail import detail_of
from core.apps.egress import Egress
from core.apps.life.aftercare import Aftercare, is_stranded
from core.apps.life.app_registry import AppRegistry
from core.apps.life.arrivals import Approve, Arrivals
from core.apps.life.decisions import Decisions
from core.apps.life.kept_archives import KeptArchives
from core.apps.life.parts import AppParts, Progress, quiet
from core.apps.life.pausing import Pauses
from core.apps.life.reconcile import Reconciler
from core.apps.life.removal import Removals, check_can_go
from core.apps.life.upgrade import Upgrades, check_can_roll_back
from core.apps.process.leftover_processes import end_leftovers
from core.apps.process.local import LocalApps
from core.apps.process.log import tail
from core.apps.process.log_follower import follow
from core.apps.process.reach import Reach
from core.apps.process.vitals import AppVitals, vitals_of
from core.apps.protocols import CoreServices
from core.apps.review.review import Review
from core.apps.sandbox import Ports
from core.apps.sandbox.inside import Inside
from core.apps.settings import AppSettings
from core.apps.status import AppStatus, status_of
from pcloud.errors import Conflict, Unavailable
from projections.directory import App, AppState

__all__ = ["Approve", "Apps"]

log = logging.getLogger("pcloud.app")
AGAIN = 1.0


class Apps:
    """Call `start_all` first and `stop_all` last; in between, work on one app is serialized."""

    def __init__(
        self,
        settings: AppSettings,
        core: CoreServices,
        *,
        on_limit: Callable[[str, str, str], None] = lambda app, kind, detail: None,
        egress: Egress | None = None,
    ):
        # Core and the apps have different working folders.
        settings = replace(settings, folder=settings.folder.absolute(), runtime=settings.runtime.absolute())
        self._registry = AppRegistry(core.directory, core.commands)
        reach = Reach(core.directory, Ports(settings.folder), egress or Egress())
        self._local = LocalApps(settings, core, reach, on_limit, self._pause_later, lambda: self._aftercare.look())
        self._pausing = set[asyncio.Task[App]]()
        self._kept_archives = KeptArchives(core.store.archives, self._registry)
        self._parts = AppParts(settings, self._registry, self._local, core, self._kept_archives)
        self._upgrades = Upgrades(self._parts)
        self._removals = Removals(self._parts)
        self._pauses = Pauses(self._parts)
        self._decisions = Decisions(self._parts, self)
        self.staged = Staged(settings.folder / STAGED, longest=settings.bounds.packed)
        self._arrivals = Arrivals(self._parts, self._upgrades, self.staged)
        self._reconciler = Reconciler(self._parts, self._arrivals, self._upgrades, self._removals, self._pauses)
        self._aftercare = Aftercare(self._parts, self._reconciler.begin, self._reconciler.begin_restart)

    @property
    def warning(self) -> str:
        """A one-line warning, with what to do, if apps run without a sandbox; '' if they run in one."""
        return self._parts.settings.warning

    @property
    def sandbox(self) -> str:
        """The kind of sandbox: bubblewrap+cgroup, bubblewrap+uid, bubblewrap or unconfined."""
        return self._parts.settings.sandbox

    # --- installing and removing ---------------------------------------------------------------------------------------------

    async def review(self, archive: bytes | Path) -> Review:
        """Return what the owner has to know before installing this archive (in memory, or `staged`); see `Arrivals.review`."""
        return await self._arrivals.review(archive)

    async def bundled(self, name: str) -> bytes:
        """Return the archive of an app that comes with PCloud; raises `NotFound`."""
        return await self._arrivals.bundled(name)

    async def list_bundled(self) -> list[dict[str, str]]:
        """Name, title, version and description of the apps that come with PCloud."""
        return await self._arrivals.list_bundled()

    async def install(
        self, archive: bytes | Path, *, approve: Approve, unconfined: bool = False, hand_over: bool = False,
        progress: Progress = quiet,
    ) -> App:  # fmt: skip
        """Check the archive, ask for new grants, and install the app or upgrade it to this version; see `Arrivals.install`."""
        return await self._arrivals.install(
            archive, approve=approve, unconfined=unconfined, hand_over=hand_over, progress=progress
        )

    async def rollback(self, name: str, *, progress: Progress = quiet) -> App:
        """Return to the version before the last upgrade; raises `Conflict` if the app was not upgraded."""

        def work(app: App) -> Coroutine[Any, Any, None]:
            check_can_roll_back(app)
            return self._upgrades.roll_back(app, progress)

        return await self._do(name, work)

    async def remove(self, name: str, *, forget: bool = False, progress: Progress = quiet) -> None:
        """Stop the app and uninstall it.

        Its data, in the graph and in its own folder, is kept unless `forget` is set; `forget` also works for an app
        that was removed earlier.

        Raises `NotFound`, or `Conflict` if another app requires this one.
        """
        async with self._local.deciding:
            check_can_go(name, {other.name: other.manifest for other in self._registry.all()})
            await self._local.cancel(name)
            app = await self._removals.begin(name, forget=forget)
            progress("remove", name)
            task = self._local.begin(name, self._removals.go_on(app, progress))
        await asyncio.shield(task)

    # --- pausing and resuming ----------------------------------------------------------------------------------

    async def pause(self, name: str, reason: str = "you paused it") -> App:
        """Stop the app and keep its positions in the log; it stays PAUSED until it is resumed. `reason` is shown to the owner."""

        def work(app: App) -> Coroutine[Any, Any, None]:
            if app.state not in (AppState.RUNNING, AppState.PAUSED):
                raise Conflict(f"{name} is {app.state}: only a running app can be paused")
            return self._pauses.pause(app, reason)

        return await self._do(name, work)

    async def resume(self, name: str) -> App:
        """Resume a paused app, or retry one that FAILED or whose installation was abandoned."""

        def work(app: App) -> Coroutine[Any, Any, None]:
            if app.state is AppState.PAUSED:
                return self._pauses.resume(app)
            if app.state is AppState.RUNNING:
                return self._pauses.restart(app)
            if app.state is AppState.FAILED:
                return self._arrivals.try_again(app)
            return self._reconciler.go_on(app)

        return await self._do(name, work)

    async def restart(self, name: str) -> App:
        """Stop the app's process and start a new one; raises `Conflict` if the app is not running."""
        return await self._do(name, self._pauses.restart)

    async def set_grant(self, name: str, grant_id: str, approved: bool) -> App:
        """Approve or withdraw one grant, at once: the app's view changes and its open connections are closed.

        Withdrawing a required grant pauses the app; approving it again resumes it. Raises `NotFound`.
        """
        return await self._decisions.set_grant(name, grant_id, approved)

    async def set_limits(self, name: str, changes: Mapping[str, Any]) -> App:
        """Set limits in place of the manifest's: `memory`, `processes`, `disk` and `graph` (0: unlimited); None
        restores the manifest's value.

        A running app restarts with the new limits, except for `graph`, which applies at once; a paused one stays
        paused. Raises `Rejected`, `NotFound` or `Conflict`.
        """
        return await self._decisions.set_limits(name, changes)

    # --- the node's life ----------------------------------------------------------------------------------------------

    async def start_all(self) -> None:
        """Start every installed app and continue what was interrupted. Retry apps that can't be started."""
        await asyncio.to_thread(end_leftovers, self._parts.settings.folder, self._parts.settings.machine.cgroups)
        await asyncio.to_thread(self.staged.clear)
        apps = self._registry.all()
        users = {app.name: app.nkey for app in apps if app.nkey and self._parts.folders(app.name).bus_seed.exists()}
        paused = {app.name for app in apps if app.state is AppState.PAUSED}
        await self._once_answered(
            lambda: self._local.set_users({n: key for n, key in users.items() if n not in paused})
        )
        locks = [self._local.new(app).lock() for app in apps]
        await asyncio.to_thread(self._local.environments.clean, locks)
        await self._once_answered(self._kept_archives.sweep)
        for app in apps:
            if is_stranded(app, started=False):
                self._reconciler.begin(app)
        self._aftercare.start()

    async def _once_answered(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, as often as it takes: the log's server may be away while the node starts."""
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning("starting the apps waits: %s", error.message)
                await asyncio.sleep(AGAIN)

    async def stop_all(self) -> None:
        """Stop every process, with SIGTERM first; work in progress continues at the next start."""
        self._arrivals.stop()
        await self._aftercare.stop()
        await self._local.stop_all()

    async def settled(self) -> None:
        """Wait until the work that `start_all` began is done."""
        await self._local.settled()

    # --- queries ----------------------------------------------------------------------------------------------

    def statuses(self) -> Sequence[AppStatus]:
        """All apps by name, as they are now."""
        return [self._status(app) for app in sorted(self._registry.all(), key=lambda app: app.name)]

    async def list(self) -> list[AppStatus]:
        """All apps by name."""
        return [*self.statuses()]

    async def vitals(self) -> list[AppVitals]:
        """Measurements of each app with a process on this node, by name."""
        instances = [one for _, one in sorted(self._local.instances.items()) if one.app.manifest.run is not None]
        return await asyncio.to_thread(lambda: [vitals_of(instance) for instance in instances])

    def processes(self) -> list[int]:
        """The ids of all processes of all apps on this node. Reads /proc: call it in a thread."""
        return [pid for instance in list(self._local.instances.values()) for pid in instance.processes()]

    def append_only(self) -> dict[str, list[str]]:
        """By app, the patterns of files in its data folder that are only appended to or replaced whole."""
        return {app.name: app.manifest.backup.append_only for app in self._registry.all()}

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        return self._registry.get(name)

    async def detail(self, name: str) -> dict[str, Any]:
        """Everything about one app that the owner may want to see, as JSON."""
        app = await self.get(name)
        return {**self._status(app).as_dict(), **await detail_of(app, self._parts, self._upgrades)}

    async def logs(self, name: str, lines: int = 100) -> list[str]:
        """The newest lines of the app's log, oldest first."""
        await self.get(name)
        return await asyncio.to_thread(tail, self._parts.folders(name).log, lines)

    def follow(self, name: str, lines: int = 100) -> AsyncIterator[str | None]:
        """Yield the newest lines, then each new line without end; None if no line arrived for a moment."""
        return follow(self._parts.folders(name).log, lines)

    def web_address(self, name: str) -> tuple[str, int] | Inside | None:
        """The address of the app's own web server on this node; None if it has no server or is not running."""
        return self._local.web_address(name)

    async def connect(self, name: str, port: str) -> socket.socket:
        """Return a connection to a port that the app publishes. Raises `Unavailable` while it does not run here, or has no such port."""
        return await self._local.connect(name, port)

    def web_key(self, name: str) -> bytes:
        """The key that signs the identity of visitors to the app's pages; raises `NotFound`."""
        return self._local.web_key(name)

    def web_names(self) -> list[tuple[str, str, str]]:
        """Name, title and author of each app on this node that has web pages, by title."""
        return self._local.web_names()

    # --- within -------------------------------------------------------------------------------------------------------

    def _pause_later(self, name: str, reason: str) -> None:
        """Pause on behalf of the app's own instance, which is ending; running work on the app finishes first."""

        async def pause() -> App:
            await self._local.idle(name)
            return await self.pause(name, reason)

        task = asyncio.create_task(pause(), name=f"pause {name}")
        self._pausing.add(task)
        task.add_done_callback(self._paused)

    def _paused(self, task: asyncio.Task[App]) -> None:
        self._pausing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %s", task.get_name(), error)

    def _status(self, app: App) -> AppStatus:
        trouble = self._local.troubles.get(app.name, "") or self._parts.core.graph_quota.problem(app.name)
        return status_of(app, self._local.instances.get(app.name), trouble, self._local.doing.get(app.name, ""))

    async def _do(self, name: str, work: Callable[[App], Coroutine[Any, Any, None]]) -> App:
        """Run `work` on one app to its end, even if the caller is cancelled."""
        async with self._local.deciding:
            app = await self.get(name)
            self._local.check_idle(name)
            begun = work(app)
            await self._local.cancel(name)
            task = self._local.begin(name, begun)
        await asyncio.shield(task)
        return await self.get(name)
