"""Replaces the running version of an app by another one, and back.

An upgrade: stop · snapshot of the data folder · register (one transaction: version, schema, grants, and what a
rollback needs) · then the steps of an installation · running. Killed before `register`, the upgrade is undone;
killed after it, it continues. If the new version does not keep running or one of its new init actions fails, it is
rolled back automatically.

A rollback: rollback · restore (the data folder) · register (the version before) · the steps · running. It continues
after a kill at any point. What the newer version wrote into types and fields that only it has stays in the log,
hidden.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

import msgspec

from core.apps.archive.archive import CheckedArchive
from core.apps.life.data_snapshot import Linked
from core.apps.life.installation import bring_up
from core.apps.life.parts import AppParts, Progress
from core.apps.review.additive import losses
from core.apps.review.stored_data import written_beyond
from core.apps.signing.author import Author
from core.apps.tree import matching
from pcloud.errors import Conflict, PCloudError, Unavailable
from pcloud.manifest import Init, Manifest
from projections.directory import App, AppState, Grant
from projections.graph.catalog import Catalog

__all__ = ["Upgrades", "check_can_roll_back"]

log = logging.getLogger("pcloud.app")
SHOWN_SECONDS = 1.0
# Nothing has changed yet if one of these is the last step.
BEFORE = frozenset({"stop", "snapshot"})
# The version before is not yet back in place.
BACK = frozenset({"rollback", "restore"})


class Upgrades:
    def __init__(self, parts: AppParts):
        self._parts = parts

    async def upgrade(
        self, app: App, checked: CheckedArchive, grants: Sequence[Grant], author: Author, progress: Progress
    ) -> None:
        """Raises the reason if the version before runs again (or nothing has changed)."""
        link = matching(checked.manifest.backup.append_only)
        await asyncio.to_thread(self._parts.snapshots(app.name).check_room, link)
        paused = (app.error or "you paused it") if app.state is AppState.PAUSED else None
        await self._parts.registry.become(app.name, AppState.UPGRADING, step="stop", paused=paused)
        progress("stop", f"{app.name} {app.version}")
        try:
            await self._halt(app.name)
            await self._step(app.name, "snapshot", "its data folder", progress)
            await self._copy_data(app, link, progress)
            new = await self._parts.registry.replace(app, checked, grants, author)
        except Exception as error:
            if await self._back_out(app.name, str(error), progress):
                return
            raise
        progress("register", f"{new.name} {new.version}")
        await self.go_on(new, progress)

    async def go_on(self, app: App, progress: Progress) -> None:
        """Continue an upgrade or a rollback at the step where it was interrupted."""
        if app.step in BEFORE:
            await self._back_out(app.name, "the upgrade was interrupted before anything changed", progress)
        elif app.step in BACK:
            await self._restore(app, progress, app.error)
        elif app.previous is None or app.previous.returning:
            await self._settle_back(app, progress, app.error)
        else:
            await self._forward(app, progress)

    async def roll_back(self, app: App, progress: Progress, reason: str = "") -> None:
        """`reason`: why the app is rolled back automatically, '' if the owner asked for it."""
        await self._step(app.name, "rollback", f"to {app.previous.version if app.previous else ''}", progress, reason)
        await self._halt(app.name)
        await self._restore(app, progress, reason)

    async def losses(self, app: App) -> list[str]:
        """What a rollback would lose or hide, as sentences."""
        before = app.previous
        if before is None:
            return []
        found: list[str] = []
        if hidden := losses(app.declares(), Catalog.from_json(before.catalog or "{}")):
            found.append(
                f"what was stored in {', '.join(hidden)} is not shown any more (a later upgrade shows it again)"
            )
        if await asyncio.to_thread(self._parts.snapshots(app.name).exists, before.archive):
            found.append(f"what the app wrote into its own data folder since {before.at} is lost")
            if "object-storage" in app.manifest.provides:
                found.append(f"the files that were uploaded since {before.at}, such as photographs, are deleted")
        else:
            found.append("there is no copy of the app's data folder: the older version finds it as it is now")
        if gone := _triggers(app.manifest) - _triggers(before.manifest):
            found.append(f"the triggers {', '.join(sorted(gone))} lose their positions in the log")
        return found

    # --- within -------------------------------------------------------------------------------------------------------

    async def _copy_data(self, app: App, link: Linked, progress: Progress) -> None:
        """Take the snapshot, and say each second how far it is: many files take minutes. Without this call it stops."""
        copied, cancelled = 0, False

        def one_more() -> None:
            nonlocal copied
            copied += 1
            if cancelled:
                raise Unavailable("the copy was interrupted")

        take, doing = self._parts.snapshots(app.name).take, self._parts.local.doing
        work = asyncio.create_task(asyncio.to_thread(take, app.archive, link, one_more))
        try:
            while not (await asyncio.wait([work], timeout=SHOWN_SECONDS))[0]:
                doing[app.name] = f"copying its data before the upgrade: {copied:,} files and folders so far"
                progress("snapshot", f"{copied:,} files and folders")
            await work
        finally:
            cancelled = True
            work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nothing waits for it any more
            doing.pop(app.name, None)

    async def _forward(self, app: App, progress: Progress) -> None:
        before = app.previous
        assert before is not None
        try:
            # A trigger of the same name for other events has no position to keep.
            await self._parts.core.processor.retire(app.name, sorted(_moved(before.manifest, app.manifest)))
            instance = await self._parts.local.make(app)
            steps = await bring_up(self._parts, instance, progress, new_inits(before.manifest, app.manifest), new=True)
        except Exception as error:
            log.error("%s %s does not work and is rolled back: %s", app.name, app.version, error)
            reason = f"{app.version} did not work and was rolled back: {error}"
            await self.roll_back(app, progress, reason)
            again = "is paused" if app.paused else "runs"
            message = f"{app.name} {app.version} did not work, {before.version} {again} again: {error}"
            raise (type(error)(message) if isinstance(error, PCloudError) else Unavailable(message)) from error
        await self._parts.core.processor.retire(app.name, sorted(_triggers(before.manifest) - _triggers(app.manifest)))
        await self._drop_snapshots(app)
        await steps.running()

    async def _restore(self, app: App, progress: Progress, reason: str) -> None:
        """Restore the data folder, then the node: once the node names the older version, its data is in place too."""
        before = app.previous
        assert before is not None
        await self._step(app.name, "restore", "its data folder", progress, reason)
        await asyncio.to_thread(self._parts.snapshots(app.name).put_back, before.archive)
        await self._parts.core.processor.retire(
            app.name,
            sorted(_triggers(app.manifest) - _triggers(before.manifest) | _moved(before.manifest, app.manifest)),
        )
        newer, hidden = app.declares(), app.hides()
        old = await self._parts.registry.restore(app, by_itself=bool(reason))
        # Fields without data bind no later version, and can no longer be written.
        older = Catalog.from_json(before.catalog or "{}")
        if reason and not await written_beyond(self._parts.core.store, app.name, newer, older):
            await self._parts.registry.set_hidden(app.name, hidden)
        await self._parts.core.api.disconnect(lambda caller: caller.view_app == app.name)
        progress("register", f"{old.name} {old.version}")
        await self._settle_back(old, progress, reason)

    async def _settle_back(self, app: App, progress: Progress, reason: str) -> None:
        if reason and app.paused:
            await self._pause_again(app, reason)
            return
        try:
            instance = await self._parts.local.make(app)
            steps = await bring_up(self._parts, instance, progress, (), new=False)
        except Exception as error:
            log.error("%s %s does not start again: %s", app.name, app.version, error)
            failure = f"{reason}; and {app.version} does not start again: {error}" if reason else str(error)
            await self._parts.registry.become(app.name, AppState.FAILED, failure)
            raise
        await self._drop_snapshots(app)
        await steps.running(reason)

    async def _back_out(self, name: str, reason: str, progress: Progress) -> bool:
        """Resume the version before, after a failure before the new one was registered.

        Returns True if it had been registered after all (as when the log did not answer in time) and runs now.
        """
        # After this write, the next read returns what the log has.
        await self._parts.registry.become(name, AppState.UPGRADING, reason)
        app = self._parts.registry.get(name)
        if app.step not in BEFORE:
            await self.go_on(app, progress)
            return True
        if app.paused:
            await self._pause_again(app)
            return False
        await self._drop_snapshots(app)
        # Start it like any app that should be running: with as many attempts as needed, and yielding to the owner.
        await self._parts.registry.become(name, AppState.RUNNING, reason, step="running")
        return False

    async def _pause_again(self, app: App, reason: str = "") -> None:
        """Return to PAUSED after an upgrade that failed."""
        await self._drop_snapshots(app)
        why = f"{app.paused}; {reason}" if reason else app.paused
        await self._parts.registry.become(app.name, AppState.PAUSED, why, step="pause", paused=None)

    async def _drop_snapshots(self, app: App) -> None:
        """Drop all snapshots but the one that the next rollback needs. A snapshot that can't be dropped now is dropped
        with the next ones."""
        keep = [app.previous.archive] if app.previous else []
        try:
            await asyncio.to_thread(lambda: self._parts.snapshots(app.name).drop(keep=keep))
        except Unavailable as error:
            log.warning("%s: an unneeded copy of its data can't be removed: %s", app.name, error)

    async def _halt(self, name: str) -> None:
        await self._parts.core.processor.suspend(name)
        await self._parts.local.drop(name)
        await self._parts.core.api.disconnect(lambda caller: caller.view_app == name)

    async def _step(self, name: str, step: str, detail: str, progress: Progress, reason: str = "") -> None:
        await self._parts.registry.become(name, AppState.UPGRADING, reason, step=step)
        progress(step, detail)


def new_inits(before: Manifest, after: Manifest) -> list[tuple[int, Init]]:
    """The init actions that the version before did not have, with their numbers: the others have run."""
    done = Counter(msgspec.json.encode(init, order="sorted") for init in before.init)
    fresh: list[tuple[int, Init]] = []
    for number, init in enumerate(after.init):
        key = msgspec.json.encode(init, order="sorted")
        if done[key]:
            done[key] -= 1
        else:
            fresh.append((number, init))
    return fresh


def check_can_roll_back(app: App) -> None:
    """Raises `Conflict` if the app has no version to return to or is busy."""
    if app.previous is None:
        raise Conflict(f"{app.name} {app.version} was not upgraded: there is no version to go back to")
    if app.state not in (AppState.RUNNING, AppState.PAUSED, AppState.FAILED):
        raise Conflict(f"{app.name} is {app.state}: wait until that is done")


def _triggers(manifest: Manifest) -> set[str]:
    return {trigger.name for trigger in manifest.triggers}


def _moved(before: Manifest, after: Manifest) -> set[str]:
    """Names of triggers that listen to another type in the new version."""
    types = {trigger.name: trigger.on.type for trigger in before.triggers}
    return {trigger.name for trigger in after.triggers if types.get(trigger.name, trigger.on.type) != trigger.on.type}
