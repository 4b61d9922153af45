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
from datetime import UTC, datetime
from typing import Any

from core.app.admission import check_confinement, check_needs, check_roles, dependents, own_catalog
from core.app.archive import CheckedArchive, read_archive
from core.app.credentials import web_key
from core.app.environment import Environments
from core.app.folders import ENVIRONMENTS, AppFolders
from core.app.installation import Installation, Progress, failed
from core.app.instance import Instance
from core.app.leftovers import end_leftovers
from core.app.log import tail
from core.app.pack import packed
from core.app.ports import Api, BusUsers, Calls, Commands, Processor, Store
from core.app.record import ALL_APPS, APP_TYPE, App, AppState, app_from_row, app_ref, app_values
from core.app.review import Review, review
from core.app.settings import AppSettings
from core.app.status import AppStatus, status_of
from core.caller import Grant
from core.command import NodeChange
from core.grant import GRANT_TYPE, decide, grant_ref, grant_values, requested_grants
from pcloud.errors import Conflict, NotFound, PCloudError, Rejected
from pcloud.subject import Ref
from projections.graph.catalog import Catalog
from projections.graph.port import Compare, GraphStore, IdIn, Select

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
        self._commands = commands
        self._graph = graph
        self._store = store
        self._server = server
        self._api = api
        self._calls = calls
        self._processor = processor
        self._environments = Environments(
            settings.folder / ENVIRONMENTS, settings.sdk, cache=settings.cache, seconds=settings.install_seconds
        )
        self._instances: dict[str, Instance] = {}
        self._titles: dict[str, str] = {}
        self._troubles: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._admission = asyncio.Lock()

    # --- coming and going
    # ----------------------------------------------------------------------------------------------------

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
            await self._register(checked, grants)
            task = self._begin(name, self._bring_up(await self.get(name), progress, first=True))
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
            if needed := dependents(name, {other.name: other.manifest for other in await self._apps()}):
                raise Conflict(
                    f"{name} is needed by {', '.join(needed)}: remove {'that' if len(needed) == 1 else 'those'} first"
                )
            await self._cancel(name)
            await self._commands.write(
                "owner", [NodeChange(app_ref(name), "update", set={"state": AppState.REMOVING.value})]
            )
            task = self._begin(name, self._take_down(app))
        await asyncio.shield(task)

    # --- the node's life
    # -----------------------------------------------------------------------------------------------------

    async def start_all(self) -> None:
        """Start every installed app and go on with what was interrupted. One that can't be started is tried again by
        itself."""
        await asyncio.to_thread(end_leftovers, self._settings.folder)
        apps = await self._apps()
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
                self._begin(app.name, self._keep_trying(app))
            elif app.state is AppState.INSTALLING:
                self._begin(app.name, self._bring_up(app, quiet, first=True))
            elif app.state is AppState.REMOVING:
                self._begin(app.name, self._take_down(app))

    async def stop_all(self) -> None:
        """End every process, politely first; what was in progress is gone on with at the next start."""
        await asyncio.gather(*(self._cancel(name) for name in list(self._work)))
        await asyncio.gather(*(instance.stop() for instance in self._instances.values()))
        self._instances.clear()

    async def settled(self) -> None:
        """Wait until what `start_all` began has been done once, whether it worked or not."""
        if tasks := [task for task in self._work.values() if not task.done()]:
            await asyncio.wait(tasks)

    # --- what others ask
    # -----------------------------------------------------------------------------------------------------

    async def list(self) -> list[AppStatus]:
        """All apps by name."""
        apps = sorted(await self._apps(), key=lambda app: app.name)
        return [status_of(app, self._instances.get(app.name), self._troubles.get(app.name, "")) for app in apps]

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        rows = await self._graph.fetch(Select(APP_TYPE, scalars=ALL_APPS.scalars, filter=IdIn((name,))))
        if not rows:
            raise NotFound(f"there is no app {name!r} here: `pcloud app list` shows what is installed")
        return app_from_row(rows[0])

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

    # --- within
    # --------------------------------------------------------------------------------------------------------------

    async def _apps(self) -> list[App]:
        return [app_from_row(row) for row in await self._graph.fetch(ALL_APPS)]

    async def _check(self, checked: CheckedArchive) -> App | None:
        """Raises when this archive can't be installed now; the app, when it is that already."""
        manifest = checked.manifest
        others = {}
        for app in await self._apps():
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
        own_catalog(checked, self._types_of_others(manifest.name))
        check_needs(manifest, others, self._graph.catalog)
        check_roles(manifest, others)
        return None

    def _types_of_others(self, name: str) -> Catalog:
        """All types that exist, without what this app itself declared when it was here before."""
        types = {}
        for type_name, type_ in self._graph.catalog.types.items():
            if not type_name.startswith(f"{name}/"):
                types[type_name] = type_
        return Catalog(types=types)

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

    async def _register(self, checked: CheckedArchive, grants: Sequence[Grant]) -> None:
        """The app and its decided grants, in one transaction; grants of an earlier try that are not asked for any
        more go."""
        catalog = own_catalog(checked, self._types_of_others(checked.manifest.name)).to_json()
        earlier = {app.name: app for app in await self._apps()}.get(checked.manifest.name)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        installed_at = earlier.installed_at if earlier else now
        values = app_values(checked.manifest, checked.sha256, checked.schema_text, catalog, installed_at)
        kept = {grant.id for grant in grants}
        gone = [ref for ref in await self._refs(GRANT_TYPE, "app", checked.manifest.name) if ref.id not in kept]
        changes = [
            NodeChange(app_ref(checked.manifest.name), "upsert", set=values),
            *(NodeChange(grant_ref(grant), "upsert", set=grant_values(grant)) for grant in grants),
            *(NodeChange(ref, "delete") for ref in gone),
        ]
        await self._commands.write("owner", changes)

    async def _refs(self, type_: str, field: str, value: str) -> list[Ref]:
        rows = await self._graph.fetch(Select(type_, scalars=("id",), filter=Compare(field, "eq", value)))
        return [Ref("core", type_.removeprefix("core/"), row["id"]) for row in rows]

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"app {name}")
        self._work[name] = task
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _cancel(self, name: str) -> None:
        if (task := self._work.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait([task])

    def _new_instance(self, app: App) -> Instance:
        return Instance(app, self._settings, self._environments, self._api, self._calls)

    async def _instance(self, app: App) -> Instance:
        """The one that runs on this node, or a new one when the archive is another."""
        old = self._instances.get(app.name)
        if old is not None and old.app.archive == app.archive:
            return old
        if old is not None:
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
            commands=self._commands,
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
                await self._commands.write("owner", [failed(app.name, str(error))])
            raise

    async def _keep_trying(self, app: App) -> None:
        """Start an app that was running before, however often that takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._bring_up(app, quiet, first=False)
            except (PCloudError, OSError) as error:
                self._troubles[app.name] = str(error)
                log.warning("starting %s failed, trying again in %.0f s: %s", app.name, pause, error)
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
        refs = [
            app_ref(app.name),
            *await self._refs(GRANT_TYPE, "app", app.name),
            *await self._refs("core/Capability", "giver", app.name),
            *await self._refs("core/Capability", "receiver", app.name),
        ]
        await self._commands.write("owner", [NodeChange(ref, "delete") for ref in dict.fromkeys(refs)])
