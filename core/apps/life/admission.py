"""Examines an archive before installation: what it would become here, who signed it, and which new grants it asks for.

It reads the installed apps and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from core.access.grant import carry_over, requested_grants
from core.apps.archive.archive import CheckedArchive, read_archive
from core.apps.archive.bundled import BundledApps
from core.apps.life.parts import AppParts
from core.apps.life.upgrade import new_inits
from core.apps.review.additive import additions
from core.apps.review.admission_rules import (
    MissingNeed,
    check_additive,
    check_confinement,
    check_dependents,
    check_needs,
    check_roles,
    check_stored,
    missing_needs,
    own_catalog,
    refuse_to_hand_over,
)
from core.apps.review.changes import changes_of
from core.apps.review.review import Review, notes_of, resources_of
from core.apps.review.stored_data import Left, Stored, read_stored
from core.apps.review.words import words_of
from core.apps.signing.author import Author, changed_author
from core.apps.signing.namesakes import warn_of_namesakes
from core.apps.signing.signature import signer_of
from core.shipped.fetched import FetchedFiles
from core.work.processor import compile_triggers
from pcloud.errors import Conflict, Rejected
from pcloud.manifest import Manifest
from projections.directory import App, AppState, Grant
from projections.graph.catalog import Catalog

__all__ = ["Admission", "Candidate", "Consent"]


@dataclass(frozen=True, slots=True)
class Consent:
    """The owner's consent besides the grants. `unconfined`: the app may run without a sandbox; `hand_over`: it may take
    over the stored data of another author's app of the same name."""

    unconfined: bool = False
    hand_over: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checked archive. `app`: the installed app of its name; `left`: a removed one that left data. `others`: the
    other apps. `grants`: those that the owner has to decide are pending. `before`: the schema that it would replace.
    `takes_from`: the author whose app's data and grants it would take over, if that is not certainly its own author."""

    checked: CheckedArchive
    kind: Literal["install", "upgrade", "same"]
    app: App | None
    left: Left | None
    others: Mapping[str, App]
    author: Author
    takes_from: Author | None
    grants: tuple[Grant, ...]
    missing: tuple[MissingNeed, ...]
    schema: Catalog
    before: Catalog

    @property
    def name(self) -> str:
        return self.checked.manifest.name


class Admission:
    def __init__(self, parts: AppParts):
        self._parts = parts
        settings = parts.settings
        files = FetchedFiles(settings.files) if settings.files else None
        self.bundled = BundledApps(settings.bundled, settings.bounds, files)

    async def examine(self, archive: Path) -> Candidate:
        """`archive`: named by its sha256. Raises `Rejected` or `Conflict` for what the owner can't consent to. What is
        only missing is reported in the candidate."""
        checked = await asyncio.to_thread(read_archive, archive, self._parts.settings.bounds)
        if checked.sha256 != archive.name:
            raise Rejected(f"the archive {archive.name[:12]} is not what was uploaded under that name: upload it again")
        registry, manifest = self._parts.registry, checked.manifest
        others = {app.name: app for app in registry.all()}
        app = others.pop(manifest.name, None)
        manifests = {name: other.manifest for name, other in others.items()}
        self._parts.local.check_idle(manifest.name)
        kind = kind_of(checked, app)
        missing = await self._missing(manifest, manifests)
        schema, before, left = await self._schemas(checked, app, kind, missing=bool(missing))
        if app is not None and kind == "upgrade":
            check_dependents(manifest, app.manifest, manifests)
        check_roles(manifest, manifests)
        compile_triggers(manifest)  # raises for a trigger that can't work, before anything is installed
        author, takes_from = await asyncio.to_thread(self._authors, checked, archive, app, left)
        held = registry.grants(manifest.name) if kind != "install" and takes_from is None else ()
        grants = carry_over(requested_grants(manifest), held)
        return Candidate(
            checked, kind, app, left, others, author, takes_from, grants, tuple(missing), schema, before
        )  # fmt: skip

    def check(self, candidate: Candidate, consent: Consent) -> None:
        """Raises `Rejected` for missing requirements, `Forbidden` for what needs the owner's consent."""
        settings = self._parts.settings
        why_not = settings.machine.why_not or "this user can't set limits that hold"
        check_confinement(
            candidate.checked, bundled=candidate.author.bundled, unconfined=consent.unconfined or settings.unconfined,
            why_not="" if settings.machine.confines_strangers else why_not,
        )  # fmt: skip
        check_needs(list(candidate.missing), candidate.checked.manifest)
        if candidate.takes_from is not None and not consent.hand_over:
            refuse_to_hand_over(candidate.name, candidate.author, candidate.takes_from)

    async def review(self, candidate: Candidate) -> Review:
        manifest, app = candidate.checked.manifest, candidate.app
        manifests = {name: other.manifest for name, other in candidate.others.items()} | {manifest.name: manifest}
        words = words_of(manifests, self._parts.registry.types())
        bundled = await asyncio.to_thread(self.bundled.manifests)
        warnings = warn_of_namesakes(manifest, candidate.author, bundled, candidate.others)
        if app is not None and candidate.takes_from is not None and not (candidate.takes_from.bundled and warnings):
            warnings.insert(0, changed_author(candidate.takes_from, candidate.author))
        # The owner's earlier consent holds for every version.
        resources = msgspec.structs.replace(manifest.resources, **(app.limits if app is not None else {}))
        return Review(
            archive=candidate.checked.sha256,
            kind=candidate.kind,
            name=manifest.name,
            version=manifest.version,
            from_version=app.version if app is not None and candidate.kind != "install" else "",
            title=manifest.title or manifest.name,
            description=manifest.description,
            author=candidate.author,
            takes_from=candidate.takes_from,
            left=candidate.left,
            sandbox=self._parts.settings.sandbox if manifest.run is not None else "",
            unconfined=manifest.run is not None and not self._parts.settings.confines,
            grants=candidate.grants,
            warnings=tuple(warnings),
            notes=tuple(notes_of(manifest, words)),
            resources=tuple(resources_of(resources)) if manifest.run is not None else (),
            missing=candidate.missing,
            changes=changes_in(candidate),
            words=words,
        )

    async def _schemas(
        self, checked: CheckedArchive, app: App | None, kind: str, *, missing: bool
    ) -> tuple[Catalog, Catalog, Left | None]:
        """Return the schemas of the archive, of the version before and of the apps that left data, checked against each
        other and the stored data."""
        registry, name = self._parts.registry, checked.manifest.name
        try:
            schema = own_catalog(checked, registry.types_without(name))
        except Rejected:
            if not missing or kind == "upgrade":
                raise
            schema = Catalog()  # it builds on missing types: those are reported, and must be installed first
        before = app.declares() if app is not None and kind == "upgrade" else Catalog()
        stored = await read_stored(self._parts.core.store, name) if kind != "same" else Stored()
        if kind == "install":
            check_stored(name, stored.catalog, schema)
        if app is not None and kind == "upgrade":
            check_additive(name, before, schema, stored.catalog)
        return schema, before, stored.left

    def _authors(
        self, checked: CheckedArchive, archive: Path, app: App | None, left: Left | None
    ) -> tuple[Author, Author | None]:
        """Return the archive's author and the author from whom it would take over.

        A removed app's data goes only to its certain author; an installed app whose author was not known accepts an
        archive of any author. Reads the disk: call it in a thread.
        """
        author = Author(self.bundled.holds(checked), signer_of(archive))
        before = app or left
        if before is None or before.archive == checked.sha256:
            return author, None
        from_whom = before.author if isinstance(before, Left) else Author.of(before)
        if not from_whom.known and before.archive == self.bundled.sha256(checked.manifest.name):
            from_whom = Author(bundled=True)  # from before authors were recorded
        if author.is_same(from_whom) or (app is not None and not from_whom.known):
            return author, None
        return author, from_whom

    async def _missing(self, manifest: Manifest, others: Mapping[str, Manifest]) -> list[MissingNeed]:
        missing = missing_needs(manifest, others, self._parts.registry.types(), {})
        if missing:
            bundled = await asyncio.to_thread(self.bundled.manifests)
            missing = missing_needs(manifest, others, self._parts.registry.types(), bundled)
        return missing


def changes_in(candidate: Candidate) -> tuple[str, ...]:
    """List what an upgrade changes."""
    if candidate.app is None or candidate.kind != "upgrade":
        return ()
    before, after = candidate.app.manifest, candidate.checked.manifest
    added = additions(candidate.before, candidate.schema)
    return tuple(changes_of(before, after, added, [init.call for _, init in new_inits(before, after)]))


def kind_of(checked: CheckedArchive, app: App | None) -> Literal["install", "upgrade", "same"]:
    """An app whose installation FAILED is installed again, with any archive; raises `Conflict` for an app on its way to another version."""
    if app is not None and app.state is AppState.UPGRADING:
        raise Conflict(f"{app.name} is being upgraded or rolled back right now: wait until that is done")
    if app is None or app.state not in (AppState.RUNNING, AppState.PAUSED):
        return "install"
    return "same" if app.archive == checked.sha256 else "upgrade"
