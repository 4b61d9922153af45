"""Filters in the API's form, translated to the store's: `{"mime": {"eq": "image/jpeg"}, "not": {"has": ["title"]}}`.

Which operators a field has follows from its `@search(by:)`, as in Dgraph. The GraphQL schema offers exactly these; filters from
elsewhere (a trigger's `where`) are checked against the same list here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from core.graph.schema.scalar import canonical
from core.graph.schema.view_type import ViewField, ViewType
from pcloud.errors import Rejected
from pcloud.subject import check_id
from projections.graph.catalog import FieldDef
from projections.graph.contract import Compare, Every, Filter, Has, HasRelated, IdIn, Invert, Operator, Some
from projections.graph.values import compile_pattern

__all__ = ["MAX_CLAUSES", "MAX_DEPTH", "filter_groups", "operators", "translate"]

MAX_DEPTH = 8
MAX_CLAUSES = 200
MAX_LIST = 1_000
MAX_PATTERN = 256

_BY: dict[str, tuple[str, ...]] = {
    "hash": ("Equal",),
    "exact": ("Equal", "Range"),
    "facet": ("Equal",),
    "term": ("Terms",),
    "fulltext": ("Terms",),
    "trigram": ("RegExp",),
    "regexp": ("RegExp",),
    "bool": ("Equal",),
    **dict.fromkeys(("int", "int64", "float", "year", "month", "day", "hour"), ("Equal", "Range")),
}
_OPERATORS: dict[str, tuple[str, ...]] = {
    "Equal": ("eq", "in"),
    "Range": ("le", "lt", "ge", "gt", "between"),
    "Terms": ("anyofterms", "allofterms"),
    "RegExp": ("regexp",),
}


def filter_groups(definition: FieldDef) -> tuple[str, ...]:
    """Return the groups of operators that a scalar field has, in their fixed order."""
    groups = {group for by in definition.search for group in _BY[by]}
    if definition.is_id:
        groups.add("Equal")
    if definition.kind in ("Boolean", "Enum"):
        groups.discard("Range")
    return tuple(group for group in _OPERATORS if group in groups)


def operators(definition: FieldDef) -> tuple[str, ...]:
    return tuple(operator for group in filter_groups(definition) for operator in _OPERATORS[group])


def translate(types: Mapping[str, ViewType], type_: ViewType, where: Mapping[str, Any]) -> Filter:
    """`types`: all types of the view, by their names in it. Raises `Rejected` that names what is unknown, wrong or too much."""
    return _Translation(types).filter(type_, where, type_.name, MAX_DEPTH)


class _Translation:
    def __init__(self, types: Mapping[str, ViewType]) -> None:
        self._types = types
        self.clauses = 0

    def filter(self, type_: ViewType, where: Any, place: str, depth: int) -> Filter:
        if not isinstance(where, Mapping):
            raise Rejected(f"{place}: a filter is an object such as {{field: {{eq: value}}}}, not {where!r}")
        if depth == 0:
            raise Rejected(f"{place}: the filter is nested deeper than {MAX_DEPTH} levels: make it simpler")
        parts: list[Filter] = []
        for name, given in cast("Mapping[str, Any]", where).items():
            if given is not None:
                parts.append(self._part(type_, name, given, f"{place}.{name}", depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _part(self, type_: ViewType, name: str, given: Any, place: str, depth: int) -> Filter:
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise Rejected(f"the filter has more than {MAX_CLAUSES} clauses: use `in` for many values")
        match name:
            case "id":
                return IdIn(tuple(check_id(one) for one in self._list(given, place)))
            case "has":
                return self._every(Has(self._field(type_, one, place).stored) for one in self._list(given, place))
            case "and" | "or":
                parts = tuple(self.filter(type_, one, place, depth - 1) for one in self._list(given, place))
                return Every(parts) if name == "and" else Some(parts)
            case "not":
                return Invert(self.filter(type_, given, place, depth - 1))
            case _:
                one = self._field(type_, name, place)
                if one.is_relation:
                    target = self._types[one.target]
                    return HasRelated(one.stored, self.filter(target, given, place, depth - 1))
                return self._compare(one, given, place)

    def _field(self, type_: ViewType, name: str, place: str) -> ViewField:
        if (found := type_.fields.get(name)) is None:
            raise Rejected(
                f"{place}: {type_.name!r} has no field {name!r}: use one of {', '.join(sorted(type_.fields))}"
            )
        return found

    def _list(self, given: Any, place: str) -> list[Any]:
        items = cast("list[Any]", given) if isinstance(given, list) else [given]
        if len(items) > MAX_LIST:
            raise Rejected(f"{place}: {len(items)} values, {MAX_LIST} are allowed: ask in parts")
        return items

    @staticmethod
    def _every(parts: Iterable[Filter]) -> Filter:
        found = tuple(parts)
        return found[0] if len(found) == 1 else Every(found)

    def _compare(self, one: ViewField, given: Any, place: str) -> Filter:
        allowed = operators(one.definition)
        if not isinstance(given, Mapping):
            raise Rejected(
                f"{place}: write an operator, such as {{{allowed[0] if allowed else 'eq'}: …}}, not {given!r}"
            )
        parts: list[Filter] = []
        for operator, value in cast("Mapping[Operator, Any]", given).items():
            if operator not in allowed:
                hint = f"it has {', '.join(allowed)}" if allowed else "it has none, as its schema has no @search on it"
                raise Rejected(f"{place}: the field has no operator {operator!r}: {hint}")
            if value is None and operator != "eq":
                continue
            parts.append(
                Compare(one.stored, operator, self._operand(one.definition, operator, value, f"{place}.{operator}"))
            )
        return self._every(parts)

    def _operand(self, definition: FieldDef, operator: str, value: Any, place: str) -> Any:
        def scalar(item: Any) -> Any:
            return canonical(definition.kind or "String", item, definition.values, place=place)

        special: dict[str, Callable[[], Any]] = {
            "in": lambda: [scalar(item) for item in self._list(value, place)],
            "between": lambda: self._between(value, scalar, place),
            "regexp": lambda: _pattern(value, place),
            "anyofterms": lambda: canonical("String", value, place=place),
            "allofterms": lambda: canonical("String", value, place=place),
        }
        if operator in special:
            return special[operator]()
        return None if value is None else scalar(value)

    @staticmethod
    def _between(value: Any, scalar: Callable[[Any], Any], place: str) -> tuple[Any, Any]:
        if isinstance(value, Mapping):
            ends = cast("Mapping[str, Any]", value)
            if set(ends) == {"min", "max"}:
                return scalar(ends["min"]), scalar(ends["max"])
        raise Rejected(f"{place}: write {{min: …, max: …}}, not {value!r}")


def _pattern(value: Any, place: str) -> str:
    """Return an RE2 pattern; also accepts Dgraph's form `/pattern/i`."""
    pattern = canonical("String", value, place=place)
    if len(pattern) > 2 and pattern.startswith("/") and pattern.endswith(("/", "/i")):
        body, _, flags = pattern[1:].rpartition("/")
        pattern = f"(?i){body}" if flags else body
    if len(pattern) > MAX_PATTERN:
        raise Rejected(f"{place}: the pattern has {len(pattern)} characters, {MAX_PATTERN} are allowed")
    try:
        compile_pattern(pattern)
    except Rejected as error:
        raise Rejected(f"{place}: {error.message}") from error
    return pattern
