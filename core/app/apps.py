"""The applications of this cloud, as this node sees and runs them: install, remove, list, start and stop them all.

What is installed stands in the log alone (`core/App`, `core/Grant`); this node's part of it can be made again from
there. An app that was being installed or removed when the node died is gone on with at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from core.app.admission import check_confinement, check_needs, check_roles, dependents, own_catalog
from core.app.archive import CheckedArchive, read_archive
from core.app.credentials import web_key
from core.app.environment import Environments
from core.app.folders import ENVIRONMENTS, AppFolders
from core.app.installation import Installation, Progress
from core.app.instance import Instance
from core.app.leftovers import end_leftovers
from core.app.log import tail
from core.app.nodes import AppNodes
from core.app.pack import packed
from core.app.ports import Api, BusUsers, Calls, Commands, Processor, Store
from core.app.record import App, AppState
from core.app.review import Review, review
from core.app.settings import AppSettings
from core.app.status import AppStatus, status_of
from core.caller import Grant
from core.grant import decide, requested_grants
from pcloud.errors import Conflict, NotFound, PCloudError, Rejected
from projections.graph.port import GraphStore

__all__ = ["Approve", "Apps"]

log = logging.getLogger("pcloud.app")
Approve = Callable[[Sequence[Grant]], Awaitable[Mapping[str, bool]]]
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


def quiet(step: str, detail: str) -> None:
    log.info("%s: %s", step, detail)


class Apps:
    """`start_all` begins, `stop_all` ends; in between at most one thing at a time is done to each app."""

    def __init__(
        self,
        settings: AppSettings,
        *,
        commands: Commands,
        graph: GraphStore,
        store: Store,
        server: BusUsers,
        api: Api,
        calls: Calls,
        processor: Processor,
    ):
        # Apps have another working folder than core.
        settings = replace(settings, folder=settings.folder.absolute(), runtime=settings.runtime.absolute())
        self._settings = settings
        self._nodes = AppNodes(graph, commands)
        self._store = store
        self._server = server
        self._api = api
        self._calls = calls
        self._processor = processor
        self._environments = Environments(
            settings.folder / ENVIRONMENTS, settings.sdk, cache=settings.cache, seconds=settings.install_seconds
        )
        self._instances: dict[str, Instance] = {}
        self._troubles: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._admission = asyncio.Lock()

    # --- coming and going ---------------------------------------------------------------------------------------------

    async def review(self, archive: bytes) -> Review:
        """What the owner has to know before this archive is installed; raises `Rejected` or `Conflict` when it can't
        be."""
        checked = await asyncio.to_thread(read_archive, archive, self._settings.bounds)
        await self._check(checked)
        return review(checked.manifest, bundled=await asyncio.to_thread(self._is_bundled, checked))

    async def install(
        self, archive: bytes, *, approve: Approve, unconfined: bool = False, progress: Progress = quiet
    ) -> App:
        """Check, ask, and bring the app up; returns when it runs. The same archive again changes nothing.

        Nothing has changed when this raises `Rejected`, `Conflict` or `Forbidden` before the app is in the log;
        after that the app is FAILED with the reason, and installing it again goes on. It also goes on when this call
        is cancelled.
        """
        progress("check", f"{len(archive)} bytes")
        checked = await asyncio.to_thread(read_archive, archive, self._settings.bounds)
        bundled = await asyncio.to_thread(self._is_bundled, checked)
        check_confinement(checked, bundled=bundled, unconfined=unconfined or self._settings.unconfined)
        if (app := await self._check(checked)) is not None:
            progress("running", f"{app.name} {app.version} is installed already")
            return app
        progress("review", f"{len(checked.manifest.uses)} grants")
        requested = requested_grants(checked.manifest)
        grants = decide(requested, await approve(requested))
        name = checked.manifest.name
        async with self._admission:
            # The owner may have taken an hour.
            await self._check(checked)
            progress("archive", f"{checked.sha256[:12]}")
            await self._store.archives.put(checked.sha256, archive)
            progress("register", f"{name} {checked.manifest.version}")
            app = await self._nodes.register(checked, grants)
            task = self._begin(name, self._bring_up(app, progress, first=True))
        await asyncio.shield(task)
        return await self.get(name)

    async def remove(self, name: str, *, forget: bool = False) -> None:
        """Stop the app and take it out; its data, in the graph and in its own folder, stays.

        Raises `NotFound`, or `Conflict` while another app can't do without it.
        """
        if forget:
            raise Rejected("an app's data can't be forgotten yet: remove the app without it, its data stays")
        async with self._admission:
            app = await self.get(name)
            if needed := dependents(name, {other.name: other.manifest for other in await self._nodes.all()}):
                raise Conflict(
                    f"{name} is needed by {', '.join(needed)}: remove {'that' if len(needed) == 1 else 'those'} first"
                )
            await self._cancel(name)
            await self._nodes.become(name, AppState.REMOVING)
            task = self._begin(name, self._take_down(app))
        await asyncio.shield(task)

    # --- the node's life ----------------------------------------------------------------------------------------------

    async def start_all(self) -> None:
        """Start every installed app and go on with what was interrupted. One that can't be started is tried again by
        itself."""
        await asyncio.to_thread(end_leftovers, self._settings.folder)
        apps = await self._nodes.all()
        self._users = {
            app.name: app.nkey
            for app in apps
            if app.nkey and AppFolders.of(self._settings.folder, app.name).bus_seed.exists()
        }
        await self._server.set_app_users(self._users)
        locks = [self._new_instance(app).lock() for app in apps]
        await asyncio.to_thread(self._environments.clean, locks)
        for app in apps:
            if app.state is AppState.RUNNING:
                self._begin(app.name, self._keep_trying(app, lambda app=app: self._bring_up(app, quiet, first=False)))
            elif app.state is AppState.INSTALLING:
                self._begin(app.name, self._bring_up(app, quiet, first=True))
            elif app.state is AppState.REMOVING:
                self._begin(app.name, self._keep_trying(app, lambda app=app: self._take_down(app)))

    async def stop_all(self) -> None:
        """End every process, politely first; what was in progress is gone on with at the next start."""
        await asyncio.gather(*(self._cancel(name) for name in list(self._work)))
        await asyncio.gather(*(instance.stop() for instance in self._instances.values()))
        self._instances.clear()

    async def settled(self) -> None:
        """Wait until what `start_all` began is done."""
        if tasks := [task for task in self._work.values() if not task.done()]:
            await asyncio.wait(tasks)

    # --- what others ask ----------------------------------------------------------------------------------------------

    async def list(self) -> list[AppStatus]:
        """All apps by name."""
        apps = sorted(await self._nodes.all(), key=lambda app: app.name)
        return [status_of(app, self._instances.get(app.name), self._troubles.get(app.name, "")) for app in apps]

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        return await self._nodes.get(name)

    async def logs(self, name: str, lines: int = 100) -> list[str]:
        """The newest lines that the app said, oldest first."""
        await self.get(name)
        return await asyncio.to_thread(tail, AppFolders.of(self._settings.folder, name).log, lines)

    def web_address(self, name: str) -> tuple[str, int] | None:
        """Where the app's own web server listens on this node; None for an app without one, or while it is not
        running."""
        instance = self._instances.get(name)
        return instance.web_address if instance else None

    def web_key(self, name: str) -> bytes:
        """The key that signs who visits the app's pages; raises `NotFound`."""
        if name not in self._instances:
            raise NotFound(f"the app {name!r} does not run here")
        return web_key(self._instances[name].folders.web_key)

    def web_names(self) -> list[tuple[str, str]]:
        """Name and title of each app on this node that has pages, by title."""
        pages = [(name, instance.app.title) for name, instance in self._instances.items() if instance.app.web]
        return sorted(pages, key=lambda page: page[1].casefold())

    # --- within -------------------------------------------------------------------------------------------------------

    async def _check(self, checked: CheckedArchive) -> App | None:
        """Raises when this archive can't be installed now; the app, when it is that already."""
        manifest = checked.manifest
        others = {}
        for app in await self._nodes.all():
            if app.name != manifest.name:
                others[app.name] = app.manifest
            elif app.state is AppState.RUNNING and app.archive == checked.sha256:
                return app
            elif app.state is AppState.RUNNING:
                raise Conflict(
                    f"{app.name} {app.version} is installed, from another archive: an app can't be upgraded yet; "
                    "remove it first (its data stays), then install this one"
                )
        if (task := self._work.get(manifest.name)) is not None and not task.done():
            raise Conflict(f"{manifest.name} is being installed or removed right now: wait until that is done")
        own_catalog(checked, self._nodes.types_without(manifest.name))
        check_needs(manifest, others, self._nodes.types())
        check_roles(manifest, others)
        return None

    def _is_bundled(self, checked: CheckedArchive) -> bool:
        """Whether these are exactly the files of the app of that name that comes with PCloud."""
        folder = self._settings.bundled / checked.manifest.name if self._settings.bundled else None
        if folder is None or not folder.is_dir():
            return False
        try:
            return packed(folder, self._settings.bounds).content == checked.content
        except Rejected as error:
            log.warning("the bundled app %s can't be packed: %s", checked.manifest.name, error)
            return False

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"app {name}")
        self._work[name] = task
        task.add_done_callback(partial(_tell, name))
        return task

    async def _cancel(self, name: str) -> None:
        if (task := self._work.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait([task])

    def _new_instance(self, app: App) -> Instance:
        return Instance(app, self._settings, self._environments, self._api, self._calls)

    async def _instance(self, app: App) -> Instance:
        """A new one for this node, in the place of one that an earlier try left."""
        if (old := self._instances.pop(app.name, None)) is not None:
            await old.stop()
        self._instances[app.name] = self._new_instance(app)
        return self._instances[app.name]

    async def _admit(self, name: str, public: str) -> None:
        self._users[name] = public
        await self._server.set_app_users(dict(self._users))

    async def _bring_up(self, app: App, progress: Progress, *, first: bool) -> None:
        """All steps; what fails the first time is written down and raised, and leaves nothing running."""
        instance = await self._instance(app)
        steps = Installation(
            instance,
            nodes=self._nodes,
            store=self._store,
            processor=self._processor,
            calls=self._calls,
            admit=self._admit,
            progress=progress,
            init_seconds=self._settings.init_seconds,
        )
        try:
            await steps.start()
            if first:
                await steps.finish()
            self._troubles.pop(app.name, None)
        except Exception as error:
            await instance.stop()
            if first:
                log.error("installing %s failed: %s", app.name, error)
                await self._nodes.become(app.name, AppState.FAILED, str(error))
            raise

    async def _keep_trying(self, app: App, work: Callable[[], Awaitable[None]]) -> None:
        """Start an app that was running before, or go on with its removal, however often that takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except Exception as error:
                self._troubles[app.name] = str(error)
                log.warning(
                    "%s can't be started or removed, trying again in %.0f s: %s", app.name, pause, error,
                    exc_info=not isinstance(error, PCloudError | OSError),
                )  # fmt: skip
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _take_down(self, app: App) -> None:
        """Stop all of it on this node, then take its nodes out of the graph: those last, so that a kill in between
        is noticed."""
        # After a restart it is not attached yet, and what it left in the log has to go all the same.
        with suppress(Rejected):
            await self._processor.attach(app)
        await self._processor.detach(app.name)
        instance = self._instances.pop(app.name, None)
        if instance is not None:
            await instance.stop()
        self._users.pop(app.name, None)
        await self._server.set_app_users(dict(self._users))
        folders = AppFolders.of(self._settings.folder, app.name)
        await asyncio.to_thread(folders.drop_code)
        await asyncio.to_thread(folders.drop_secrets)
        await self._nodes.delete(app.name)


def _tell(name: str, done: asyncio.Task[None]) -> None:
    """Whoever began it may not wait for it any more."""
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("%s: %s", name, error)
