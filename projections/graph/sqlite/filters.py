"""Filters as SQL conditions. The text of a condition never holds a value: values are bound, names come from the catalog."""

# ruff: noqa: S608 - names in the SQL come from the catalog and are quoted; values are always bound

from __future__ import annotations

from typing import Any

import msgspec

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.contract import Compare, Every, Filter, Has, HasRelated, IdIn, Invert, Some
from projections.graph.relation import Relation, find_field, find_relation, find_scalar
from projections.graph.sqlite.layout import Layout, quoted, table_name
from projections.graph.values import check_operand

__all__ = ["Condition"]

_SIGNS = {"eq": "=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_encode = msgspec.json.Encoder().encode


class Condition:
    """Writes conditions; `values` are those to bind, in the order in which the conditions were written."""

    def __init__(self, catalog: Catalog, layout: Layout) -> None:
        self._catalog, self._layout = catalog, layout
        self.values: list[Any] = []
        self._aliases = 0

    def write(self, filter: Filter, type: str, alias: str) -> str:
        """SQL that is true for rows of `type` under `alias` that pass, and false or NULL for others. Raises
        `Rejected`."""
        match filter:
            case Compare():
                return self._compare(filter, type, alias)
            case IdIn(ids):
                return f"{alias}.id IN {self.ids(ids)}"
            case Has(field):
                return self._has(field, type, alias)
            case HasRelated(field, inner):
                return self._related(find_relation(self._catalog, type, field), inner, alias)
            case Every(filters):
                return "(" + (" AND ".join(self.write(one, type, alias) for one in filters) or "1") + ")"
            case Some(filters):
                return "(" + (" OR ".join(self.write(one, type, alias) for one in filters) or "0") + ")"
            case Invert(Has(field)) if field != "id" and not find_field(self._catalog, type, field).is_relation:
                return self.write(Compare(field, "eq", None), type, alias)  # an index finds it
            case Invert(Every((inner,)) | Some((inner,))):
                return self.write(Invert(inner), type, alias)
            case Invert(inner):
                return f"NOT ifnull({self.write(inner, type, alias)}, 0)"

    def ids(self, ids: tuple[str, ...] | list[str]) -> str:
        if len(ids) == 1:
            self.values.append(ids[0])
            return "(?)"
        self.values.append(_encode(ids).decode())
        return "(SELECT value FROM json_each(?))"

    def _compare(self, compare: Compare, type: str, alias: str) -> str:
        field = find_scalar(self._catalog, type, compare.field)
        operand = check_operand(field, compare)
        column = f"{alias}.{quoted(field.name)}"
        if compare.operator == "eq" and operand is None:
            return f"({column} IS NULL OR {column} = '[]')" if field.many else f"{column} IS NULL"
        members = self._layout.tables[type].members.get(field.name)
        if compare.operator in ("anyofterms", "allofterms"):
            return self._words(
                field, operand, compare.operator == "allofterms", column, alias, members and members.table
            )
        if not field.many:
            return self._test(compare.operator, operand, column)
        if members is not None:
            return f"{alias}.id IN (SELECT id FROM {members.table} WHERE {self._test(compare.operator, operand, 'member')})"
        operator, operand = ("in", [operand]) if compare.operator == "eq" else (compare.operator, operand)
        self.values += [operator, _encode(operand).decode()]
        return f"has_item({column}, ?, ?, 0)"

    def _test(self, operator: str, operand: Any, column: str) -> str:
        if operator == "in":
            self.values += operand
            return f"{column} IN ({', '.join('?' * len(operand))})"
        if operator == "between":
            self.values += operand
            return f"{column} BETWEEN ? AND ?"
        self.values.append(operand)
        return f"matches({column}, ?)" if operator == "regexp" else f"{column} {_SIGNS[operator]} ?"

    def _words(
        self, field: FieldDef, words: list[str], every: bool, column: str, alias: str, members: str | None
    ) -> str:
        if not words:
            return "0"
        if field.many:
            self.values += [" ".join(words), int(every)]
            return f"has_item({column}, 'words', ?, ?)"
        if members is None:
            self.values += [" ".join(words), int(every)]
            return f"has_words({column}, ?, ?)"
        if not every:
            return f"{alias}.id IN (SELECT id FROM {members} WHERE {self._test('in', words, 'member')})"
        self.values += words
        return "(" + " AND ".join(f"{alias}.id IN (SELECT id FROM {members} WHERE member = ?)" for _ in words) + ")"

    def _has(self, name: str, type: str, alias: str) -> str:
        field = find_scalar(self._catalog, type, "id") if name == "id" else find_field(self._catalog, type, name)
        if not field.is_relation:
            column = f"{alias}.{quoted(name)}"
            return f"({column} IS NOT NULL AND {column} <> '[]')" if field.many else f"{column} IS NOT NULL"
        relation = find_relation(self._catalog, type, name)
        if relation.to_one and relation.forward:
            return f"{alias}.{quoted(relation.field)} IS NOT NULL"
        if relation.to_one:
            table, column = table_name(relation.type), quoted(relation.field)
        else:
            table = table_name(relation.type, relation.field)
            column = "source" if relation.forward else "target"
        return f"EXISTS (SELECT 1 FROM {table} AS has WHERE has.{column} = {alias}.id)"

    def _related(self, relation: Relation, inner: Filter, alias: str) -> str:
        """Through the ids on the other side, which are few if the inner filter is selective."""
        self._aliases += 1
        if self._aliases > 32:
            raise Rejected("a filter may follow at most 32 relations")
        other = f"r{self._aliases}"
        condition = self.write(inner, relation.target, other)
        target = f"{table_name(relation.target)} AS {other}"
        if relation.to_one and relation.forward:
            return f"{alias}.{quoted(relation.field)} IN (SELECT {other}.id FROM {target} WHERE {condition})"
        if relation.to_one:
            return f"{alias}.id IN (SELECT {other}.{quoted(relation.field)} FROM {target} WHERE {condition})"
        here, there = ("source", "target") if relation.forward else ("target", "source")
        edges = table_name(relation.type, relation.field)
        return f"{alias}.id IN (SELECT e.{here} FROM {edges} AS e JOIN {target} ON {other}.id = e.{there} WHERE {condition})"
