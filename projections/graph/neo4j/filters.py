"""Filters as Cypher conditions. The text of a condition never holds a value: values are parameters, names come from the
catalog.

Cypher's own regular expressions may run for ever, and Cypher has no notion of words. What needs those, and is not
stored beside a text, is looked up first (`Scan`) and appears in the condition as the ids that passed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, FieldDef
from projections.graph.contract import Compare, Every, Filter, Has, HasRelated, IdIn, Invert, Some
from projections.graph.neo4j.layout import Layout, has_start, has_words, start_of
from projections.graph.neo4j.names import quoted
from projections.graph.neo4j.scanning import Scan, scan_text
from projections.graph.relation import Relation, find_field, find_relation, find_scalar
from projections.graph.values import check_operand, compile_pattern, terms

__all__ = ["Conditions"]

_SIGNS = {"eq": "=", "ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_START_SIGNS = {"eq": "=", "ge": ">=", "gt": ">=", "le": "<=", "lt": "<="}
MAX_RELATIONS = 32


class Conditions:
    """Writes conditions; `parameters` are the values, `scans` what must be looked up first."""

    def __init__(self, catalog: Catalog, layout: Layout) -> None:
        self.catalog, self.layout = catalog, layout
        self.parameters: dict[str, Any] = {}
        self.scans: list[Scan] = []
        self._aliases = 0
        self._relations = 0

    def bind(self, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def alias(self) -> str:
        self._aliases += 1
        return f"n{self._aliases}"

    def write(self, filter: Filter, type: str, alias: str) -> str:
        """Cypher that is true for nodes of `type` under `alias` that pass, and false or null for others. Raises
        `Rejected`."""
        match filter:
            case Compare():
                return self._compare(filter, type, alias)
            case IdIn(ids):
                return f"{alias}.id = {self.bind(ids[0])}" if len(ids) == 1 else f"{alias}.id IN {self.bind(list(ids))}"
            case Has(field):
                return self._has(field, type, alias)
            case HasRelated(field, inner):
                return self._related(find_relation(self.catalog, type, field), inner, alias)
            case Every(filters):
                return "(" + (" AND ".join(self.write(one, type, alias) for one in filters) or "true") + ")"
            case Some(filters):
                return "(" + (" OR ".join(self.write(one, type, alias) for one in filters) or "false") + ")"
            case Invert(inner):
                return f"NOT coalesce({self.write(inner, type, alias)}, false)"

    def path(self, relation: Relation, alias: str, other: str) -> str:
        """The path from a node along a relation to its other end."""
        arrow = f"-[:{self.layout.names.relation(relation.type, relation.field)}]-"
        return f"({alias}){arrow}>({other})" if relation.forward else f"({alias})<{arrow}({other})"

    def _compare(self, compare: Compare, type: str, alias: str) -> str:
        field = find_scalar(self.catalog, type, compare.field)
        operator, operand = compare.operator, check_operand(field, compare)
        value = f"{alias}.{quoted(field.name)}"
        if operator == "eq" and operand is None:
            return f"({value} IS NULL OR size({value}) = 0)" if field.many else f"{value} IS NULL"
        if operator == "regexp":
            return self._scan(field, type, alias, lambda item: compile_pattern(operand).search(item) is not None)
        if operator in ("anyofterms", "allofterms"):
            return self._words(field, type, alias, operand, operator == "allofterms")
        if field.many:
            if operator == "eq":
                return f"{self.bind(operand)} IN {value}"
            return f"any(item IN {value} WHERE {self._test(operator, operand, 'item')})"
        stored = self.layout.labels[type].scalars.get(field.name, field)
        if has_start(stored):
            return self._by_start(field, alias, operator, operand, value)
        return self._test(operator, operand, value)

    def _test(self, operator: str, operand: Any, value: str) -> str:
        if operator == "in":
            return f"{value} IN {self.bind(operand)}"
        if operator == "between":
            return f"({self.bind(operand[0])} <= {value} <= {self.bind(operand[1])})"
        return f"{value} {_SIGNS[operator]} {self.bind(operand)}"

    def _by_start(self, field: FieldDef, alias: str, operator: str, operand: Any, value: str) -> str:
        """Compare the beginning first, which has an index: a value can pass only if its beginning does."""
        start = f"{alias}.{quoted(f'{field.name}~start')}"
        if operator == "in":
            found = f"{start} IN {self.bind([start_of(one) for one in operand])}"
        elif operator == "between":
            found = f"({self.bind(start_of(operand[0]))} <= {start} <= {self.bind(start_of(operand[1]))})"
        else:
            found = f"{start} {_START_SIGNS[operator]} {self.bind(start_of(operand))}"
        return f"({found} AND {self._test(operator, operand, value)})"

    def _words(self, field: FieldDef, type: str, alias: str, words: list[str], every: bool) -> str:
        if not words:
            return "false"
        if not has_words(self.layout.labels[type].scalars.get(field.name, field)):
            wanted = set(words)
            return self._scan(
                field, type, alias, lambda item: wanted <= terms(item) if every else not wanted.isdisjoint(terms(item))
            )
        quantifier = "all" if every else "any"
        return f"{quantifier}(word IN {self.bind(words)} WHERE word IN {alias}.{quoted(f'{field.name}~words')})"

    def _scan(self, field: FieldDef, type: str, alias: str, passes: Callable[[Any], bool]) -> str:
        text = scan_text(self.layout.labels[type].name, field)
        bound = self.bind([])
        test: Callable[[Any], bool] = (lambda items: any(passes(item) for item in items)) if field.many else passes
        self.scans.append(Scan(bound[1:], text, test))
        return f"{alias}.id IN {bound}"

    def _has(self, name: str, type: str, alias: str) -> str:
        field = find_scalar(self.catalog, type, "id") if name == "id" else find_field(self.catalog, type, name)
        if field.is_relation:
            return f"EXISTS {{ {self.path(find_relation(self.catalog, type, name), alias, '')} }}"
        value = f"{alias}.{quoted(name)}"
        return f"({value} IS NOT NULL AND size({value}) > 0)" if field.many else f"{value} IS NOT NULL"

    def _related(self, relation: Relation, inner: Filter, alias: str) -> str:
        self._relations += 1
        if self._relations > MAX_RELATIONS:
            raise Rejected(f"a filter may follow at most {MAX_RELATIONS} relations")
        other = self.alias()
        condition = self.write(inner, relation.target, other)
        return f"EXISTS {{ MATCH {self.path(relation, alias, other)} WHERE {condition} }}"
