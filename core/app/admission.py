"""Looks at an archive that somebody wants to install: what it would be here, who vouches for it, what it asks for anew.

Reads what is installed; changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec

from core.app.additive import additions
from core.app.admission_rules import (
    Missing,
    check_additive,
    check_confinement,
    check_dependents,
    check_needs,
    check_roles,
    check_stored,
    missing_needs,
    own_catalog,
)
from core.app.archive import CheckedArchive, read_archive
from core.app.bundled import BundledApps
from core.app.parts import AppParts
from core.app.review import Review, changes_of, notes_of, resources_of
from core.app.signature import Signer, changed_signer, signer_of
from core.app.stored import stored_catalog
from core.app.upgrade import new_inits
from core.app.words import words_of
from core.grant import carry_over, requested_grants
from core.processor import plan_triggers
from pcloud.errors import Conflict, Rejected
from pcloud.manifest import Manifest
from projections.directory import App, AppState, Grant
from projections.graph.catalog import Catalog

__all__ = ["Admission", "Candidate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An archive, checked. `app`: what is there of it already. `grants`: those that wait for the owner pending.
    `before`: the schema that it would replace."""

    checked: CheckedArchive
    kind: Literal["install", "upgrade", "same"]
    app: App | None
    bundled: bool
    signer: Signer | None
    grants: tuple[Grant, ...]
    missing: tuple[Missing, ...]
    schema: Catalog
    before: Catalog

    @property
    def name(self) -> str:
        return self.checked.manifest.name

    @property
    def signed(self) -> str:
        """As it is stored."""
        return msgspec.json.encode(asdict(self.signer)).decode() if self.signer else ""


class Admission:
    def __init__(self, parts: AppParts):
        self._parts = parts
        self.bundled = BundledApps(parts.settings.bundled, parts.settings.bounds)

    async def examine(self, archive: Path) -> Candidate:
        """Raises `Rejected` or `Conflict` for what can't come in whatever the owner says. What is only missing is
        told."""
        checked = await asyncio.to_thread(read_archive, archive, self._parts.settings.bounds)
        signer = await asyncio.to_thread(signer_of, archive)
        bundled = await asyncio.to_thread(self.bundled.holds, checked)
        nodes, manifest = self._parts.nodes, checked.manifest
        apps = {app.name: app for app in nodes.all()}
        app = apps.pop(manifest.name, None)
        others = {name: other.manifest for name, other in apps.items()}
        self._parts.local.check_idle(manifest.name)
        kind = kind_of(checked, app)
        missing = await self._missing(manifest, others)
        try:
            schema = own_catalog(checked, nodes.types_without(manifest.name))
        except Rejected:
            if not missing or kind == "upgrade":
                raise
            schema = Catalog()  # it builds on what is missing: that is told, and has to come first
        before = app.declares() if app is not None and kind == "upgrade" else Catalog()
        stored = await stored_catalog(self._parts.store, manifest.name) if kind != "same" else Catalog()
        if kind == "install":
            check_stored(manifest.name, stored, schema)
        if app is not None and kind == "upgrade":
            check_additive(manifest.name, before, schema, stored)
            check_dependents(manifest, app.manifest, others)
        check_roles(manifest, others)
        plan_triggers(manifest)  # raises for one that can't work, before anything is installed
        held = nodes.grants(manifest.name) if kind != "install" else ()
        grants = carry_over(requested_grants(manifest), held)
        return Candidate(checked, kind, app, bundled, signer, grants, tuple(missing), schema, before)

    def check(self, candidate: Candidate, *, unconfined: bool) -> None:
        """Raises `Rejected` for what is missing, `Forbidden` for what may not run here."""
        settings = self._parts.settings
        why_not = settings.machine.why_not or "this user can't set limits that hold"
        check_confinement(
            candidate.checked, bundled=candidate.bundled, unconfined=unconfined or settings.unconfined,
            why_not="" if settings.machine.confines_strangers else why_not,
        )  # fmt: skip
        check_needs(list(candidate.missing), candidate.checked.manifest)

    async def review(self, candidate: Candidate) -> Review:
        manifest, app = candidate.checked.manifest, candidate.app
        changes: list[str] = []
        manifests = {one.name: one.manifest for one in self._parts.nodes.all()} | {manifest.name: manifest}
        words = words_of(manifests, self._parts.nodes.types())
        # What the owner said before holds for every version.
        resources = msgspec.structs.replace(manifest.resources, **(app.limits if app is not None else {}))
        if app is not None and candidate.kind == "upgrade":
            added = additions(candidate.before, candidate.schema)
            inits = [init.call for _, init in new_inits(app.manifest, manifest)]
            changes = changes_of(app.manifest, manifest, added, inits)
            before = msgspec.json.decode(app.signer, type=Signer) if app.signer else None
            if warning := changed_signer(before, candidate.signer):
                changes.insert(0, warning)
        return Review(
            archive=candidate.checked.sha256,
            kind=candidate.kind,
            name=manifest.name,
            version=manifest.version,
            from_version=app.version if app is not None and candidate.kind != "install" else "",
            title=manifest.title or manifest.name,
            description=manifest.description,
            bundled=candidate.bundled,
            sandbox=self._parts.settings.sandbox if manifest.run is not None else "",
            unconfined=manifest.run is not None and not self._parts.settings.confines,
            signer=candidate.signer,
            grants=candidate.grants,
            notes=tuple(notes_of(manifest, words)),
            resources=tuple(resources_of(resources)) if manifest.run is not None else (),
            missing=candidate.missing,
            changes=tuple(changes),
            words=words,
        )

    async def _missing(self, manifest: Manifest, others: Mapping[str, Manifest]) -> list[Missing]:
        missing = missing_needs(manifest, others, self._parts.nodes.types(), {})
        if missing:
            bundled = await asyncio.to_thread(self.bundled.manifests)
            missing = missing_needs(manifest, others, self._parts.nodes.types(), bundled)
        return missing


def kind_of(checked: CheckedArchive, app: App | None) -> Literal["install", "upgrade", "same"]:
    """An app that FAILED on its way in is installed again, by whichever archive; raises `Conflict` for one on its way to
    another version."""
    if app is not None and app.state is AppState.UPGRADING:
        raise Conflict(f"{app.name} is being upgraded or rolled back right now: wait until that is done")
    if app is None or app.state not in (AppState.RUNNING, AppState.PAUSED):
        return "install"
    return "same" if app.archive == checked.sha256 else "upgrade"
