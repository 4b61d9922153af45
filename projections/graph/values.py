"""Values as the graph stores them, and the words and patterns of filters: shared by every store."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import re2  # pyright: ignore[reportMissingTypeStubs]

from pcloud.errors import Rejected
from projections.graph.catalog import FieldDef, ScalarKind
from projections.graph.contract import Compare

__all__ = ["MAX_MEMBERS", "check_operand", "compile_pattern", "fitting", "stored_value", "terms"]

MAX_MEMBERS = 1000  # for an `in`
MAX_PATTERN = 1000  # characters in a regexp
MAX_TEXT = 10_000  # characters in the words of a filter
_WORD = re.compile(r"[^\W_]+")
_INT64 = 2**63


def terms(text: str) -> set[str]:
    """The words of a text, compared regardless of case, width and composition (NFKC); a word consists of letters and
    digits."""
    return set(_WORD.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())))


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Any:
    """An RE2 pattern (linear in time, for any pattern), searched for anywhere in a value; raises `Rejected`."""
    if len(text) > MAX_PATTERN:
        raise Rejected(f"the pattern has {len(text)} characters, {MAX_PATTERN} are allowed")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(text, options)  # pyright: ignore[reportUnknownMemberType]
    except re2.error as error:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        reason = next(iter(cast("Exception", error).args), "")
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise Rejected(f"{text!r} is not an RE2 pattern: {told}") from error


def stored_value(field: FieldDef, value: Any) -> Any:
    """What a store keeps of a value from the log: None without a value, or if it does not fit the field's kind."""
    if field.many:
        if not isinstance(value, list):
            return None
        return [fit for item in cast("list[Any]", value) if (fit := _fit(field.kind, item)) is not None]
    return _fit(field.kind, value)


def fitting(field: FieldDef) -> Callable[[Any], Any]:
    """`stored_value` for one field, prepared once for many values."""
    return partial(stored_value, field) if field.many else _FITS.get(field.kind, _text)


def _fit(kind: ScalarKind | None, value: Any) -> Any:
    return _FITS.get(kind, _text)(value)


def _text(value: Any) -> Any:
    return value if type(value) is str else None


def _whole_number(value: Any) -> Any:
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _number(value: Any) -> Any:
    if type(value) is float:
        return value
    try:
        return float(value) if type(value) is int else None
    except OverflowError:  # for a whole number beyond 1.8e308
        return None


def _truth(value: Any) -> Any:
    return value if type(value) is bool else None


_FITS: dict[ScalarKind | None, Callable[[Any], Any]] = {
    "Int": _whole_number, "Int64": _whole_number, "Float": _number, "Boolean": _truth,
}  # fmt: skip


def check_operand(field: FieldDef, compare: Compare) -> Any:
    """The value to compare with, as stored; raises `Rejected` if the operator or the value does not fit the field."""
    operator, value = compare.operator, compare.value
    if operator == "eq":
        return None if value is None else _one(field, compare, value)
    if operator in ("ge", "gt", "le", "lt"):
        return _one(field, compare, value)
    if operator == "in":
        if (members := _members(value)) is None or len(members) > MAX_MEMBERS:
            raise Rejected(f"{field.name!r} in: give a list of at most {MAX_MEMBERS} values")
        return [_one(field, compare, item) for item in members]
    if operator == "between":
        if (members := _members(value)) is None or len(members) != 2:
            raise Rejected(f"{field.name!r} between: give the lowest and the highest value")
        return [_one(field, compare, item) for item in members]
    if field.kind not in ("String", "ID", "Enum") or not isinstance(value, str):
        raise Rejected(f"{field.name!r} {operator}: give a text, for a field of kind String")
    if operator == "regexp":
        compile_pattern(value)
        return value
    if operator not in ("anyofterms", "allofterms"):
        raise Rejected(f"there is no operator {operator!r}")
    if len(value) > MAX_TEXT:
        raise Rejected(f"{field.name!r} {operator}: give at most {MAX_TEXT} characters")
    return sorted(terms(value))[:MAX_MEMBERS]


def _members(value: Any) -> Sequence[Any] | None:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def _one(field: FieldDef, compare: Compare, value: Any) -> Any:
    fit = _fit(field.kind, value)
    if fit is None:
        raise Rejected(f"{field.name!r} {compare.operator}: {value!r} is not a value of kind {field.kind}")
    return fit
