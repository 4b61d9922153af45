"""The properties, constraints and indexes that a catalog needs.

An index on a whole text would refuse a long one, and with it the batch; so texts are indexed by their first characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.catalog_history import shape
from projections.graph.neo4j.names import Names, index_name, quoted
from projections.graph.values import terms

__all__ = ["START", "Label", "Layout", "has_own_index", "has_start", "has_words", "layout", "properties", "start_of"]

START = 200  # characters of a text in its index; enum names and times are shorter


@dataclass(frozen=True, slots=True)
class Label:
    """One type: `scalars` are its stored fields, `relations` the relations that are written on it."""

    type: str
    name: str
    scalars: dict[str, FieldDef]
    relations: dict[str, FieldDef]
    schema: dict[str, str]  # name of a constraint or index → the statement that makes it


@dataclass(frozen=True, slots=True)
class Layout:
    names: Names
    labels: dict[str, Label]

    @property
    def schema(self) -> dict[str, str]:
        return {name: statement for label in self.labels.values() for name, statement in label.schema.items()}

    def lost(self, after: Layout) -> list[tuple[Label, FieldDef]]:
        """Fields of this layout with another shape in the next one: their stored values are removed."""
        return [
            (label, field)
            for label in self.labels.values()
            for field in (*label.scalars.values(), *label.relations.values())
            if label.type in after.labels and _now(after.labels[label.type], field.name) != shape(field)
        ]


def _now(label: Label, name: str) -> tuple[Any, ...] | None:
    field = label.scalars.get(name) or label.relations.get(name)
    return shape(field) if field is not None else None


def layout(catalog: Catalog, names: Names) -> Layout:
    return Layout(names, {name: _label(type_, names) for name, type_ in catalog.types.items()})


def _label(type_: TypeDef, names: Names) -> Label:
    scalars = {name: field for name, field in type_.fields.items() if not field.is_relation and name != "id"}
    relations = {name: field for name, field in type_.fields.items() if field.is_relation and field.written}
    label = names.label(type_.name)
    unique = index_name(label, "id")
    schema = {unique: f"CREATE CONSTRAINT {unique} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"}
    for field in scalars.values():
        if field.many or not (field.search or field.is_id):
            continue
        if field.kind in ("String", "ID") and not has_start(field):
            continue
        name = f"{field.name}~start" if has_start(field) else field.name
        index = index_name(label, name)
        schema[index] = f"CREATE INDEX {index} IF NOT EXISTS FOR (n:{label}) ON (n.{quoted(name)})"
    return Label(type_.name, label, scalars, relations, schema)


def has_own_index(label: Label, name: str) -> bool:
    """Return True if an index holds its values themselves, in order."""
    field = label.scalars.get(name)
    return field is not None and not has_start(field) and index_name(label.name, name) in label.schema


def has_words(field: FieldDef) -> bool:
    """Return True if its words are stored beside it."""
    return field.kind == "String" and not field.many and bool({"term", "fulltext"} & set(field.search))


def has_start(field: FieldDef) -> bool:
    """Return True if its beginning is stored beside it and has an index."""
    searched = field.is_id or bool(set(field.search) - {"term", "fulltext"})
    return field.kind in ("String", "ID") and not field.many and field.name != "id" and searched


def start_of(text: str) -> str:
    return text[:START]


def properties(label: Label, values: Mapping[str, Any]) -> dict[str, Any]:
    """What to set on a node for these fields; None removes a property."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        field = label.scalars.get(name)
        if field is None:
            continue
        found[name] = value
        if has_words(field):
            found[f"{name}~words"] = None if value is None else sorted(terms(value))
        if has_start(field):
            found[f"{name}~start"] = None if value is None else start_of(value)
    return found
