"""The tables, columns and indexes that a catalog needs: a table per type, an edge table per written to-many relation.

    "image-importer/^Image"            id, _version, a column per scalar field and per written to-one relation
    "image-importer/^Image.camera"     (id, member): the words of a field searched by `term`, or the members of a searched list
    "image-importer/^Album.images"     (source, target): the links of a to-many relation

SQLite's names do not distinguish upper and lower case, GraphQL's do: so a capital is written with a ^ before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.catalog_history import shape

__all__ = ["Column", "Edges", "Layout", "Members", "Table", "layout", "quoted", "table_name"]

_AFFINITY = {"Int": "INTEGER", "Int64": "INTEGER", "Boolean": "INTEGER", "Float": "REAL"}


@lru_cache(4096)
def quoted(name: str) -> str:
    """The name of a type or field as an SQL identifier."""
    return '"' + re.sub("([A-Z])", r"^\1", name) + '"'


@lru_cache(4096)
def table_name(type: str, field: str = "") -> str:
    return quoted(f"{type}.{field}" if field else type)


@dataclass(frozen=True, slots=True)
class Column:
    field: str
    affinity: str
    shape: tuple[Any, ...]

    @property
    def sql(self) -> str:
        return quoted(self.field)


@dataclass(frozen=True, slots=True)
class Members:
    """A table of a field's parts, to find entities by one part: `words` of a text, or `items` of a list."""

    field: str
    kind: Literal["words", "items"]
    many: bool
    table: str


@dataclass(frozen=True, slots=True)
class Edges:
    field: str
    target: str
    table: str
    shape: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    type: str
    name: str
    columns: dict[str, Column]
    members: dict[str, Members]
    edges: dict[str, Edges]
    indexes: dict[str, str]  # name → CREATE INDEX
    folding: frozenset[str] = frozenset()  # those with which the fold finds what points to a removed row


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that is stored, and for each type the links that point to it: (to-one: table, column) and (to-many: edge table)."""

    tables: dict[str, Table]
    columns_to: dict[str, list[tuple[Table, Column]]]
    edges_to: dict[str, list[Edges]]


def layout(catalog: Catalog) -> Layout:
    tables = {name: _table(type_) for name, type_ in catalog.types.items()}
    columns_to: dict[str, list[tuple[Table, Column]]] = {name: [] for name in tables}
    edges_to: dict[str, list[Edges]] = {name: [] for name in tables}
    for table in tables.values():
        for column in table.columns.values():
            target = catalog.types[table.type].fields[column.field].target
            if target in columns_to:
                columns_to[target].append((table, column))
        for edges in table.edges.values():
            if edges.target in edges_to:
                edges_to[edges.target].append(edges)
    return Layout(tables, columns_to, edges_to)


def _table(type_: TypeDef) -> Table:
    fields = type_.fields.values()
    stored = [field for field in fields if not field.is_relation or (field.written and not field.many)]
    columns = {field.name: Column(field.name, _affinity(field), shape(field)) for field in stored if field.name != "id"}
    members = {field.name: part for field in fields if (part := _members(type_.name, field))}
    edges = {
        field.name: Edges(field.name, field.target, table_name(type_.name, field.name), shape(field))
        for field in fields
        if field.is_relation and field.written and field.many
    }
    folding = frozenset(_index_name(type_.name, name) for name in columns if type_.fields[name].is_relation)
    return Table(type_.name, table_name(type_.name), columns, members, edges, _indexes(type_, columns), folding)


def _affinity(field: FieldDef) -> str:
    return "TEXT" if field.many or field.kind is None else _AFFINITY.get(field.kind, "TEXT")


def _members(type: str, field: FieldDef) -> Members | None:
    if field.is_relation or not field.search:
        return None
    if field.many:
        return Members(field.name, "items", True, table_name(type, field.name))
    if field.kind == "String" and ({"term", "fulltext"} & set(field.search)):
        return Members(field.name, "words", False, table_name(type, field.name))
    return None


def _indexes(type_: TypeDef, columns: dict[str, Column]) -> dict[str, str]:
    """One for each @search and each to-one relation; for the latter also in the order of the type's searched times, and
    for values that many entities share (a camera, a state) in the order of the first of them.

    Times are queried newest first, so their indexes have that order: a timeline's page is then read without sorting.
    """
    wanted: list[tuple[str, ...]] = []
    times = [
        field.name for field in type_.fields.values() if field.kind == "DateTime" and field.search and not field.many
    ]
    for name in columns:
        field = type_.fields[name]
        if field.is_relation:
            wanted += [(name,), *((name, time) for time in times)]
        elif field.search and not field.many:
            wanted.append((name,))
            if _is_shared(field):
                wanted += [(name, time) for time in times[:1]]
    table = table_name(type_.name)
    result: dict[str, str] = {}
    for names in wanted:
        index = _index_name(type_.name, *names)
        columns_sql = ", ".join(f"{quoted(name)}{' DESC' if name in times else ''}" for name in names)
        result[index] = f"CREATE INDEX IF NOT EXISTS {index} ON {table} ({columns_sql}, id)"
    return result


def _is_shared(field: FieldDef) -> bool:
    """Return True if many entities may have the same value and are queried by it."""
    return field.kind in ("Enum", "Boolean") or (
        field.kind == "String" and not {"exact", "facet"}.isdisjoint(field.search)
    )


def _index_name(type: str, *fields: str) -> str:
    return quoted(f"{type}:{'+'.join(fields)}")
