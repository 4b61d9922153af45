"""What a caller may do with each type: the owner everything, an app what it may do with its own types and what was granted.

A type without an entry does not exist for the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pcloud.subject import split_name
from projections.directory import Grant
from projections.graph.catalog import Catalog

__all__ = ["TypeAccess", "app_access", "owner_access"]


@dataclass(frozen=True, slots=True)
class TypeAccess:
    """`app`: the caller's app ('' for the owner). `write`: may add, delete, and set the fields of the type's own app. `extend`: may set
    the fields that this app added. `listed`: stored names of other apps' fields that are granted too. `alias`: the manifest's `as`."""

    app: str
    write: bool = False
    extend: bool = False
    listed: frozenset[str] = frozenset()
    alias: str = ""

    def sees(self, field: str) -> bool:
        adder, _ = split_name(field)
        return not self.app or adder in ("", self.app) or field in self.listed

    def writes(self, field: str) -> bool:
        adder, _ = split_name(field)
        return self.write or (self.extend and adder != "" and adder == self.app)


def owner_access(catalog: Catalog) -> dict[str, TypeAccess]:
    """Return all types; those of the platform itself are read-only."""
    return {name: TypeAccess("", write=not name.startswith("core/")) for name in catalog.types}


def app_access(app: str, catalog: Catalog, grants: Iterable[Grant]) -> dict[str, TypeAccess]:
    """Return `app`'s own types, then those that approved grants name, in the order of their names."""
    mine = [grant for grant in grants if grant.app == app and grant.state == "approved"]
    by_target: dict[str, list[Grant]] = {}
    for grant in mine:
        if grant.verb in ("read", "write", "extend"):
            by_target.setdefault(grant.target, []).append(grant)
    own = [name for name in catalog.types if name.startswith(f"{app}/")]
    foreign = [name for name in sorted(by_target) if name in catalog.types and name not in own]
    return {name: _access(app, name in own, by_target.get(name, ())) for name in (*own, *foreign)}


def _access(app: str, own: bool, grants: Iterable[Grant]) -> TypeAccess:
    grants = list(grants)
    return TypeAccess(
        app,
        write=own or any(grant.verb == "write" for grant in grants),
        extend=own or any(grant.verb == "extend" for grant in grants),
        listed=frozenset(field for grant in grants for field in grant.fields),
        alias=next((grant.as_ for grant in grants if grant.as_), ""),
    )
