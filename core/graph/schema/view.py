"""A caller's view: the types and fields that exist for it, under its names, and the GraphQL schema made from them.

A view is immutable. Anything outside it does not exist for the caller: every incoming name is translated to a stored one here, so a
hidden type can't be reached by a filter, an order, a search or an error message.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import FieldDefinitionNode, GraphQLSchema, TypeDefinitionNode

from core.graph.schema.executable import build_schema
from core.graph.schema.filter import translate
from core.graph.schema.root_fields import root_fields
from core.graph.schema.sdl import type_texts
from core.graph.schema.searchable import searchable_fields
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from pcloud.subject import split_name
from projections.graph.contract import Filter

__all__ = ["View"]

_versions = itertools.count(1)


@dataclass(frozen=True, eq=False)
class View:
    """`app`: the app whose view it is ('' for the owner). `version`: unique in this process, for caches."""

    app: str
    types: Mapping[str, ViewType]
    by_stored: Mapping[str, ViewType]
    enums: Mapping[str, tuple[str, ...]]
    version: int = field(default_factory=lambda: next(_versions))

    @cached_property
    def known_apps(self) -> frozenset[str]:
        """The view's own app, and the apps whose types or fields it has."""
        declared = (split_name(name)[0] for one in self.types.values() for name in one.by_stored if "/" in name)
        return frozenset({self.app, *(one.app for one in self.types.values()), *declared})

    @cached_property
    def schema(self) -> GraphQLSchema:
        return self.schema_with({})

    def schema_with(
        self, more: Mapping[str, Mapping[str, FieldDefinitionNode]], types: Iterable[TypeDefinitionNode] = ()
    ) -> GraphQLSchema:
        """Return the schema with further fields of the root types (root → name → definition), and further types."""
        own = root_fields(self.types)
        roots = {root: {**fields, **more.get(root, {})} for root, fields in own.items()}
        return build_schema(type_texts(self.types, self.enums), roots, types)

    def type(self, name: str) -> ViewType:
        """Return a type. Raises `Rejected` for a name that is not in the view."""
        if (found := self.types.get(name)) is None:
            raise Rejected(f"there is no type {name!r}: {self._names()}")
        return found

    def _names(self) -> str:
        return f"use one of {', '.join(sorted(self.types))}" if self.types else "this view has no types"

    def filter(self, type: str, where: Mapping[str, Any]) -> Filter:
        """Return a filter in the API's form, `{"mime": {"eq": "image/jpeg"}}`, for the store. Raises `Rejected`."""
        return translate(self.types, self.type(type), where)

    @cached_property
    def _searchable(self) -> dict[str, frozenset[str]]:
        found = {one.stored: searchable_fields(self.types, one) for one in self.types.values()}
        return {stored: fields for stored, fields in found.items() if fields}

    def searchable(self) -> dict[str, frozenset[str]]:
        """For each stored type, the stored fields that the caller may match and facet on; `relation.field` one level deep."""
        return self._searchable
