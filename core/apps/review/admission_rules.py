"""Decides whether an app may be installed next to what is installed: its schema, the roles and actions that it needs,
and who signed it.

Pure decisions over data that was read before; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from core.apps.archive.archive import CheckedArchive
from core.apps.review.additive import breaking_changes, remade
from core.apps.signing.author import Author
from core.graph.schema import parse_schema
from core.work.call import takes_action
from pcloud.errors import Conflict, Forbidden, Rejected
from pcloud.manifest import Action, Manifest, handed_over
from pcloud.subject import TypeName, split_name
from projections.graph.catalog import Catalog

__all__ = [
    "MissingNeed", "check_additive", "check_confinement", "check_dependents", "check_needs", "check_roles", "check_stored",
    "dependents", "missing_needs", "own_catalog", "refuse_to_hand_over",
]  # fmt: skip

ROLE = "role:"


@dataclass(frozen=True, slots=True)
class MissingNeed:
    """Something that an app needs and that is not installed. `bundled`: the app that has it and comes with PCloud, '' if none does."""

    what: str
    bundled: str = ""

    def __str__(self) -> str:
        return f"{self.what} (the app {self.bundled}, which comes with PCloud, has it)" if self.bundled else self.what


def own_catalog(archive: CheckedArchive, installed: Catalog) -> Catalog:
    """Return the catalog of the app's schema, checked against all existing types; raises `Rejected` with file, line and
    column.

    A schema may only use types of other apps that the manifest asks for.
    """
    manifest = archive.manifest
    if not archive.schema_text:
        return Catalog()
    catalog = parse_schema(manifest.name, archive.schema_text, others=installed, file=manifest.schema)
    extended = {use.extend for use in manifest.uses if use.extend}
    for name, extension in catalog.extensions.items():
        if extension.fields and name not in extended:
            raise Rejected(f"{manifest.schema} extends {name}: add `- extend: {name}` to `uses` in app.yaml")
    seen = extended | {target for use in manifest.uses for target in (use.read, use.write) if target}
    for type_ in (*catalog.types.values(), *catalog.extensions.values()):
        for field in type_.fields.values():
            if field.target and TypeName.parse(field.target).app != manifest.name and field.target not in seen:
                raise Rejected(
                    f"{manifest.schema}: {TypeName.parse(type_.name).type}.{field.name} points to {field.target}: "
                    f"add `- read: {field.target}` to `uses` in app.yaml"
                )
    return catalog


def missing_needs(
    manifest: Manifest, installed: Mapping[str, Manifest], types: Catalog, bundled: Mapping[str, Manifest]
) -> list[MissingNeed]:
    """Return every required type, role and action that is missing. `bundled`: the manifests of the apps that come with PCloud."""
    missing: list[MissingNeed] = []
    for use in manifest.uses:
        if use.optional:
            continue
        type_ = use.read or use.write or use.extend
        if type_ and type_ not in types.types and (app := TypeName.parse(type_).app) != manifest.name:
            missing.append(MissingNeed(f"the type {type_}", app if app in bundled else ""))
        if use.call and (lack := _lacking_action(use.call, manifest, installed)):
            others = {name: other for name, other in bundled.items() if name not in installed}
            missing.append(MissingNeed(lack, _who_has(use.call, others)))
    for called, actions in handed_over(manifest):
        target = called if "/" in called else f"{manifest.name}/{called}"
        for holder, action in _offered(target, manifest, installed):
            for name in actions:
                if not takes_action(action.args.get(name, "")):
                    what = f"a version of {holder} whose {action.name} takes an action as `{name}`"
                    missing.append(MissingNeed(what, holder if holder in bundled else ""))
    return list(dict.fromkeys(missing))


def check_needs(missing: list[MissingNeed], manifest: Manifest) -> None:
    """Raises `Rejected` naming everything that is missing."""
    if missing:
        raise Rejected(
            f"{manifest.name} needs what is not installed: {'; '.join(map(str, missing))}. "
            "Install the app that has it first"
        )


def check_additive(name: str, before: Catalog, after: Catalog, hidden: Catalog | None = None) -> None:
    """Check that an upgrade's schema only adds, also to data that is stored and hidden; raises `Rejected` naming each other change."""
    if breaks := list(dict.fromkeys([*breaking_changes(before, after), *remade(hidden or Catalog(), before, after)])):
        raise Rejected(
            f"{name} can't be upgraded to this version: {'; '.join(breaks)}. An upgrade may add types and fields that may "
            "be empty or have a default, nothing else"
        )


def check_stored(name: str, stored: Catalog, after: Catalog) -> None:
    """Check that the stored data of an earlier installation is shown as it was, or stays hidden; raises `Rejected`
    naming each difference."""
    if breaks := remade(stored, Catalog(), after):
        raise Rejected(
            f"{name} was here before and its data was kept, which this version can't take over: {'; '.join(breaks)}. Install a "
            f"version that can, or have its data forgotten: `pcloud app remove {name} --forget`"
        )


def refuse_to_hand_over(name: str, author: Author, before: Author) -> NoReturn:
    """Raises `Forbidden`: the data stored under this name is another author's."""
    raise Forbidden(
        f"the data that {name} has stored here is another author's: the app that stored it {before}, this archive {author}. "
        f"Say --hand-over to let this archive have it, or forget it first: `pcloud app remove {name} --forget`"
    )


def check_dependents(manifest: Manifest, before: Manifest, installed: Mapping[str, Manifest]) -> None:
    """Check that other apps keep the actions and roles that they require; raises `Conflict` naming the apps that would not."""
    after = {**installed, manifest.name: manifest}
    broken: list[str] = []
    for other in installed.values():
        for use in other.uses:
            known = use.call and not use.optional and other.name != manifest.name
            if not known or _lacking_action(use.call, other, {**installed, before.name: before}):
                continue
            if lack := _lacking_action(use.call, other, after):
                broken.append(f"{other.name} needs {lack}")
    if broken:
        raise Conflict(f"this version of {manifest.name} lacks what others need: {'; '.join(broken)}")


def check_roles(manifest: Manifest, installed: Mapping[str, Manifest]) -> None:
    """Check that a role has one holder; raises `Conflict`."""
    for name, other in installed.items():
        if name != manifest.name and (both := set(other.provides) & set(manifest.provides)):
            role = sorted(both)[0]
            raise Conflict(f"the role {role!r} is held by {name}: remove that app before {manifest.name} takes it over")


def check_confinement(archive: CheckedArchive, *, bundled: bool, unconfined: bool, why_not: str) -> None:
    """Check that an app which does not come with PCloud is confined or the owner agreed; raises `Forbidden`. `why_not`:
    why a sandbox is not possible, '' if it is."""
    if archive.manifest.run is not None and not bundled and not unconfined and why_not:
        raise Forbidden(
            f"{archive.manifest.name} does not come with PCloud and there is no sandbox here ({why_not}): it would run "
            "with all rights of this user. If you trust it, install it with --unconfined"
        )


def dependents(name: str, installed: Mapping[str, Manifest]) -> list[str]:
    """Return the other apps that require this one, sorted."""
    roles = set(installed[name].provides) if name in installed else set[str]()
    return sorted(other for other, manifest in installed.items() if other != name and _needs(manifest, name, roles))


def _needs(manifest: Manifest, name: str, roles: set[str]) -> bool:
    for use in manifest.uses:
        if use.optional or use.network:
            continue
        owner = split_name(use.read or use.write or use.extend or use.call)[0]
        if owner == name or (owner.startswith(ROLE) and owner.removeprefix(ROLE) in roles):
            return True
    return False


def _who_has(target: str, bundled: Mapping[str, Manifest]) -> str:
    """Return the bundled app that has this action, '' if none has."""
    owner, action = split_name(target)
    for name, manifest in sorted(bundled.items()):
        holds = owner == name or (owner.startswith(ROLE) and owner.removeprefix(ROLE) in manifest.provides)
        if holds and any(known.name == action for known in manifest.actions):
            return name
    return ""


def _lacking_action(target: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> str:
    """Return what is missing for a call to this target, '' if nothing is."""
    owner, action = split_name(target)
    holders = _holders(owner, manifest, installed)
    if not holders:
        return (
            f"an app that provides the role {owner.removeprefix(ROLE)}"
            if owner.startswith(ROLE)
            else f"the app {owner}"
        )
    return "" if _offered(target, manifest, installed) else f"the action {action} of {holders[0].name}"


def _offered(target: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> list[tuple[str, Action]]:
    """Return the actions that a call to this target may reach, each with its app's name."""
    owner, action = split_name(target)
    holders = _holders(owner, manifest, installed)
    return [(holder.name, known) for holder in holders for known in holder.actions if known.name == action]


def _holders(owner: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> list[Manifest]:
    """Return the apps that `app` or `role:ROLE` may mean."""
    everyone = {**installed, manifest.name: manifest}
    if owner.startswith(ROLE):
        return [other for other in everyone.values() if owner.removeprefix(ROLE) in other.provides]
    return [everyone[owner]] if owner in everyone else []
