"""Reads mutation inputs, in the view's names, into changes in stored names.

A relation's value names an existing entity by `id` (or its @id field), or holds the fields of a new entity, which is then added too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from core.graph.command import EntityChange, IdSource, entity_id
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewField, ViewType
from pcloud.errors import Rejected
from pcloud.subject import check_id

__all__ = ["InputReader"]

MAX_DEPTH = 8
MAX_ENTITIES = 1_000


@dataclass
class _Wanted:
    set: dict[str, Any] = field(default_factory=dict[str, Any])
    link: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    clear: list[str] = field(default_factory=list[str])


class InputReader:
    """Reads the input of one transaction. `ids` gives new entities their ids, in the order in which they are read."""

    def __init__(self, view: View, id_key: bytes, ids: IdSource) -> None:
        self._view, self._id_key, self._ids = view, id_key, ids
        self._read = 0

    def add(
        self, type_: ViewType, inputs: Sequence[Mapping[str, Any]], *, upsert: bool
    ) -> tuple[list[EntityChange], list[str]]:
        """Return the changes, each nested new entity before the one that names it, and the ids of the outermost."""
        changes: list[EntityChange] = []
        ids: list[str] = []
        for given in inputs:
            named = self._identify(type_, given)
            id = named or self._ids.next(type_.stored)
            ids.append(id)
            fresh = not named and self._ids.random
            changes.extend(self._entity(type_, id, given, "upsert" if upsert else "add", 1, fresh=fresh))
        return changes, list(dict.fromkeys(ids))

    def patch(
        self, type_: ViewType, given: Mapping[str, Any], remove: Mapping[str, Any]
    ) -> tuple[list[EntityChange], EntityChange]:
        """Return the changes for nested new entities, and the change for each updated entity (its `ref` is not filled in)."""
        nested: list[EntityChange] = []
        wanted = self._wanted(type_, given, nested, 1)
        discard: dict[str, Any] = {}
        unlink: dict[str, list[str]] = {}
        clear = list(wanted.clear)
        for name, value in remove.items():
            one = type_.fields[name]
            if not one.is_relation:
                discard[one.stored] = value
            elif value is None:
                clear.append(one.stored)
            else:
                unlink[one.stored] = [self._existing(one, item) for item in _items(value)]
        change = EntityChange(
            type_.ref("-"),
            "update",
            set=wanted.set,
            link=wanted.link,
            unlink=unlink,
            clear=clear,
            discard=discard,
        )
        return nested, change

    # --- entities ----------------------------------------------------------------------------------------------------------

    def _entity(
        self, type_: ViewType, id: str, given: Mapping[str, Any], kind: Any, depth: int, *, fresh: bool = False
    ) -> list[EntityChange]:
        self._read += 1
        if depth > MAX_DEPTH or self._read > MAX_ENTITIES:
            raise Rejected(
                f"the input holds more than {MAX_ENTITIES} entities or {MAX_DEPTH} levels: add them in parts"
            )
        nested: list[EntityChange] = []
        wanted = self._wanted(type_, given, nested, depth)
        own = EntityChange(type_.ref(id), kind, set=wanted.set, link=wanted.link, clear=wanted.clear, fresh=fresh)
        return [*nested, own]

    def _wanted(self, type_: ViewType, given: Mapping[str, Any], nested: list[EntityChange], depth: int) -> _Wanted:
        wanted = _Wanted()
        for name, value in given.items():
            if name == "id" and name not in type_.fields:
                continue
            one = type_.fields[name]
            if not one.is_relation:
                wanted.set[one.stored] = value
            elif value is None:
                wanted.clear.append(one.stored)
            else:
                wanted.link[one.stored] = [self._related(one, item, nested, depth) for item in _items(value)]
        return wanted

    def _related(self, one: ViewField, given: Mapping[str, Any], nested: list[EntityChange], depth: int) -> str:
        """Return the id of the entity that a relation's value names; a new entity is appended to `nested`."""
        target = self._view.types[one.target]
        id = self._identify(target, given)
        identity = target.id_field
        naming = {"id", identity.name} if identity else {"id"}
        whole = identity and target.addable and identity.name in given and self._is_whole(target, given)
        if id and not whole and not set(given) - naming:
            return id
        if not target.addable:
            raise Rejected(f"{one.name!r}: name an existing {target.name} by {' or '.join(sorted(naming))}")
        kind = "ensure" if id else "add"
        id = id or self._ids.next(target.stored)
        nested.extend(self._entity(target, id, given, kind, depth + 1))
        return id

    @staticmethod
    def _is_whole(target: ViewType, given: Mapping[str, Any]) -> bool:
        """Return True if the input that names the entity is enough to create it."""
        return all(
            one.name in given or one.definition.default is not None
            for one in target.fields.values()
            if one.definition.required
        )

    def _existing(self, one: ViewField, given: Mapping[str, Any]) -> str:
        if id := self._identify(self._view.types[one.target], given):
            return id
        raise Rejected(f"{one.name!r}: name the entity to remove by its id")

    def _identify(self, type_: ViewType, given: Mapping[str, Any]) -> str:
        """Return the id that the input gives, directly or by its @id field; '' if it gives neither."""
        id = check_id(given["id"]) if given.get("id") is not None else ""
        identity = type_.id_field
        if identity is None or given.get(identity.name) is None:
            return id
        derived = entity_id(self._id_key, type_.stored, given[identity.name])
        if id and id != derived:
            raise Rejected(f"`id` and `{identity.name}` name different {type_.name}: give one of them")
        return derived


def _items(value: Any) -> list[Mapping[str, Any]]:
    return cast("list[Mapping[str, Any]]", value) if isinstance(value, list) else [value]
