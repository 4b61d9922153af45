"""From a new archive to a running app: reviewed, decided on, registered, and brought up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from core.access.grant import decide
from core.apps.archive.staged_archives import Staged
from core.apps.life.admission import Admission, Consent
from core.apps.life.installation import bring_up
from core.apps.life.parts import AppParts, Progress, quiet
from core.apps.life.upgrade import Upgrades
from core.apps.review.review import Review
from pcloud.errors import PCloudError, Unavailable
from projections.directory import App, AppState, Grant

__all__ = ["Approve", "Arrivals"]

log = logging.getLogger("pcloud.app")
Approve = Callable[[Sequence[Grant]], Awaitable[Mapping[str, bool]]]


class Arrivals:
    def __init__(self, parts: AppParts, upgrades: Upgrades, staged: Staged):
        self._parts = parts
        self._upgrades = upgrades
        self._staged = staged
        self._admission = Admission(parts)
        self._stopping = False

    async def review(self, archive: bytes | Path) -> Review:
        """Return what the owner has to know before installing this archive, which is then staged under its sha256;
        raises `Rejected` or `Conflict` if it can't be installed."""
        place = await self._staged_at(archive)
        try:
            with self._staged.using(place):
                return await self._admission.review(await self._admission.examine(place))
        except PCloudError:
            self._staged.drop(place)
            raise

    async def bundled(self, name: str) -> bytes:
        """Return the archive of an app that comes with PCloud, fetching missing files; raises `NotFound`, or the reason
        why they can't be fetched."""
        return await asyncio.to_thread(self._admission.bundled.archive, name, self._keep_fetching)

    def stop(self) -> None:
        """Stop fetching files."""
        self._stopping = True

    def _keep_fetching(self, what: str, done: int, total: int) -> None:
        if self._stopping:
            raise Unavailable(f"{what} was not fetched: the node is stopping")

    async def list_bundled(self) -> list[dict[str, str]]:
        """Name, title, version and description of the apps that come with PCloud."""
        found = await asyncio.to_thread(self._admission.bundled.manifests)
        return [
            {"name": name, "title": one.title or name, "version": one.version, "description": one.description}
            for name, one in found.items()
        ]

    async def install(
        self, archive: bytes | Path, *, approve: Approve, unconfined: bool = False, hand_over: bool = False,
        progress: Progress = quiet,
    ) -> App:  # fmt: skip
        """See `_install`. An archive in memory is staged first, and deleted at the end of this call."""
        place = await self._staged_at(archive)
        try:
            with self._staged.using(place):
                app = await self._install(place, approve, Consent(unconfined, hand_over), progress)
        except BaseException:
            if isinstance(archive, bytes):
                self._staged.drop(place)
            raise
        self._staged.drop(place)
        return app

    async def _install(self, archive: Path, approve: Approve, consent: Consent, progress: Progress) -> App:
        """Check the archive, ask for new grants, and bring the app up; returns when it runs.

        Over another version it is an upgrade; installing the same archive again changes nothing.

        If this raises `Rejected`, `Conflict` or `Forbidden` before the app is in the log, nothing has changed. After
        that a new app becomes FAILED with the reason, and installing it again continues; of an upgraded app the
        version before runs again. Cancelling this call does not stop the installation.
        """
        progress("check", f"{(await asyncio.to_thread(archive.stat)).st_size} bytes")
        candidate = await self._admission.examine(archive)
        self._admission.check(candidate, consent)
        if candidate.kind == "same" and candidate.app is not None:
            progress("running", f"{candidate.app.name} {candidate.app.version} is installed already")
            return candidate.app
        name, pending = candidate.name, [grant for grant in candidate.grants if grant.state == "pending"]
        progress("review", f"grants to decide on: {len(pending)}")
        answers = await approve(pending)
        decide(candidate.grants, answers)
        # Steps that take long and can fail, done while the version before still runs and without holding up other apps.
        if candidate.kind == "upgrade" and candidate.checked.manifest.run is not None:
            progress("prepare", "packages of the new version")
            await self._parts.local.environments.provide(candidate.checked.lock)
        async with self._parts.kept_archives.arriving(candidate.checked.sha256):
            progress("archive", f"{candidate.checked.sha256[:12]}")
            await self._parts.core.store.archives.put(candidate.checked.sha256, archive)
            task = await self._begin(archive, answers, consent, progress)
            self._parts.kept_archives.keep_during(candidate.checked.sha256, task)
        await asyncio.shield(task)
        return self._parts.registry.get(name)

    async def _begin(
        self, archive: Path, answers: Mapping[str, bool], consent: Consent, progress: Progress
    ) -> asyncio.Task[None]:
        """From here on the app is in the log, or it is written there before anything else is done to it."""
        async with self._parts.local.deciding:
            # The owner may have taken an hour to decide.
            candidate = await self._admission.examine(archive)
            self._admission.check(candidate, consent)
            grants = decide(candidate.grants, answers)
            await self._parts.local.cancel(candidate.name)
            if candidate.kind == "upgrade" and candidate.app is not None:
                work = self._upgrades.upgrade(candidate.app, candidate.checked, grants, candidate.author, progress)
            else:
                app = await self._parts.registry.register(candidate.checked, grants, candidate.author)
                progress("register", f"{app.name} {app.version}")
                work = self.bring_in(app, progress)
            return self._parts.local.begin(candidate.name, work)

    async def _staged_at(self, archive: bytes | Path) -> Path:
        return archive if isinstance(archive, Path) else await asyncio.to_thread(self._staged.put, archive)

    async def bring_in(self, app: App, progress: Progress) -> None:
        """Run all steps of an installation; an error is recorded and raised, and leaves nothing running."""
        registry, local = self._parts.registry, self._parts.local
        try:
            instance = await local.make(app)
            steps = await bring_up(self._parts, instance, progress, list(enumerate(app.manifest.init)), new=True)
        except Exception as error:
            log.error("installing %s failed: %s", app.name, error)
            await registry.become(app.name, AppState.FAILED, str(error))
            raise
        local.troubles.pop(app.name, None)
        await steps.running()

    async def try_again(self, app: App) -> None:
        """Retry a FAILED app with the archive that it has."""
        await self._parts.registry.become(app.name, AppState.INSTALLING, step="register")
        await self.bring_in(app, quiet)
