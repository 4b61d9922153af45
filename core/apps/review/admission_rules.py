"""Whether an app may come in, judged by what is installed: its schema, the roles and actions it needs, who vouches for
it.

Plain decisions over what was read before; nothing here changes anything.
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
from pcloud.subject import TypeName
from projections.graph.catalog import Catalog

__all__ = [
    "Missing", "check_additive", "check_confinement", "check_dependents", "check_needs", "check_roles", "check_stored",
    "dependents", "missing_needs", "own_catalog", "refuse_to_hand_over",
]  # fmt: skip

ROLE = "role:"


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that an app needs and that is not installed. `bundled`: the app that has it and comes with PCloud, ''
    for none."""

    what: str
    bundled: str = ""

    def __str__(self) -> str:
        return f"{self.what} (the app {self.bundled}, which comes with PCloud, has it)" if self.bundled else self.what


def own_catalog(archive: CheckedArchive, installed: Catalog) -> Catalog:
    """What the app's schema declares, checked against all types that exist; raises `Rejected` with file, line and
    column.

    A schema only touches types of other apps that the manifest asks for.
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
) -> list[Missing]:
    """Everything that the app can't do without and that is not there: types, roles, actions. `bundled`: the manifests
    of the apps that come with PCloud."""
    missing: list[Missing] = []
    for use in manifest.uses:
        if use.optional:
            continue
        type_ = use.read or use.write or use.extend
        if type_ and type_ not in types.types and (app := TypeName.parse(type_).app) != manifest.name:
            missing.append(Missing(f"the type {type_}", app if app in bundled else ""))
        if use.call and (lack := _lacking_action(use.call, manifest, installed)):
            others = {name: other for name, other in bundled.items() if name not in installed}
            missing.append(Missing(lack, _who_has(use.call, others)))
    for called, actions in handed_over(manifest):
        target = called if "/" in called else f"{manifest.name}/{called}"
        for holder, action in _offered(target, manifest, installed):
            for name in actions:
                if not takes_action(action.args.get(name, "")):
                    what = f"a version of {holder} whose {action.name} takes an action as `{name}`"
                    missing.append(Missing(what, holder if holder in bundled else ""))
    return list(dict.fromkeys(missing))


def check_needs(missing: list[Missing], manifest: Manifest) -> None:
    """Raises `Rejected` naming everything that is missing."""
    if missing:
        raise Rejected(
            f"{manifest.name} needs what is not installed: {'; '.join(map(str, missing))}. "
            "Install the app that has it first"
        )


def check_additive(name: str, before: Catalog, after: Catalog, hidden: Catalog | None = None) -> None:
    """An upgrade's schema only adds, to what is stored and hidden too; raises `Rejected` naming each change that is none."""
    if breaks := list(dict.fromkeys([*breaking_changes(before, after), *remade(hidden or Catalog(), before, after)])):
        raise Rejected(
            f"{name} can't be upgraded to this version: {'; '.join(breaks)}. An upgrade may add types and fields that may "
            "be empty or have a default, nothing else"
        )


def check_stored(name: str, stored: Catalog, after: Catalog) -> None:
    """What is stored of an app that was here before comes back as it was, or stays hidden; raises `Rejected` naming each change."""
    if breaks := remade(stored, Catalog(), after):
        raise Rejected(
            f"{name} was here before and its data was kept, which this version can't take over: {'; '.join(breaks)}. Install a "
            f"version that can, or have its data forgotten: `pcloud app remove {name} --forget`"
        )


def refuse_to_hand_over(name: str, author: Author, before: Author) -> NoReturn:
    """Raises `Forbidden`: what was stored here is another author's."""
    raise Forbidden(
        f"what {name} has stored here is of another author: the app that stored it {before}, this archive {author}. Say --hand-over to "
        f"let it have that, or have it forgotten first: `pcloud app remove {name} --forget`"
    )


def check_dependents(manifest: Manifest, before: Manifest, installed: Mapping[str, Manifest]) -> None:
    """No other app loses an action or a role that it can't do without; raises `Conflict` naming them."""
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
    """A role has one holder; raises `Conflict`."""
    for name, other in installed.items():
        if name != manifest.name and (both := set(other.provides) & set(manifest.provides)):
            role = sorted(both)[0]
            raise Conflict(f"the role {role!r} is held by {name}: remove that app before {manifest.name} takes it over")


def check_confinement(archive: CheckedArchive, *, bundled: bool, unconfined: bool, why_not: str) -> None:
    """Without a sandbox that holds only the apps that come with PCloud start unasked; raises `Forbidden`. `why_not`:
    there is none, '' when there is."""
    if archive.manifest.run is not None and not bundled and not unconfined and why_not:
        raise Forbidden(
            f"{archive.manifest.name} does not come with PCloud and there is no sandbox here ({why_not}): it would run "
            "with all rights of this user. If you trust it, install it with --unconfined"
        )


def dependents(name: str, installed: Mapping[str, Manifest]) -> list[str]:
    """The other apps that can't do without this one, sorted."""
    roles = set(installed[name].provides) if name in installed else set()
    return sorted(other for other, manifest in installed.items() if other != name and _needs(manifest, name, roles))


def _needs(manifest: Manifest, name: str, roles: set[str]) -> bool:
    for use in manifest.uses:
        if use.optional or use.network:
            continue
        owner = (use.read or use.write or use.extend or use.call).rpartition("/")[0]
        if owner == name or (owner.startswith(ROLE) and owner.removeprefix(ROLE) in roles):
            return True
    return False


def _who_has(target: str, bundled: Mapping[str, Manifest]) -> str:
    """The bundled app that has this action, '' for none."""
    owner, _, action = target.rpartition("/")
    for name, manifest in sorted(bundled.items()):
        holds = owner == name or (owner.startswith(ROLE) and owner.removeprefix(ROLE) in manifest.provides)
        if holds and any(known.name == action for known in manifest.actions):
            return name
    return ""


def _lacking_action(target: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> str:
    """What is missing for a call to this target, '' when nothing is."""
    owner, _, action = target.rpartition("/")
    holders = _holders(owner, manifest, installed)
    if not holders:
        return (
            f"an app that provides the role {owner.removeprefix(ROLE)}"
            if owner.startswith(ROLE)
            else f"the app {owner}"
        )
    return "" if _offered(target, manifest, installed) else f"the action {action} of {holders[0].name}"


def _offered(target: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> list[tuple[str, Action]]:
    """The actions that a call to this target may reach, each with its app's name."""
    owner, _, action = target.rpartition("/")
    holders = _holders(owner, manifest, installed)
    return [(holder.name, known) for holder in holders for known in holder.actions if known.name == action]


def _holders(owner: str, manifest: Manifest, installed: Mapping[str, Manifest]) -> list[Manifest]:
    """The apps that `app` or `role:ROLE` may mean."""
    everyone = {**installed, manifest.name: manifest}
    if owner.startswith(ROLE):
        return [other for other in everyone.values() if owner.removeprefix(ROLE) in other.provides]
    return [everyone[owner]] if owner in everyone else []
