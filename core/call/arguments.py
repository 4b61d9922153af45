"""Checks a call's arguments against the types in the callee's manifest, before anything is sent.

The types are GraphQL input types over `ID String Int Int64 Float Boolean DateTime JSON`, with `!` and lists. Unlike
GraphQL a single value is not taken for a list of one. `Int` holds 64 bits: an object's size must fit, and JSON
carries it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from graphql import GraphQLError, ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode, parse_type

from pcloud.errors import Rejected

__all__ = ["ARGUMENT_TYPES", "check_arguments"]

_INT64 = 2**63


def check_arguments(action: str, types: Mapping[str, str], args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with ids as text; raises `Rejected` that names each one that is unknown, missing or of another
    type."""
    if not isinstance(args, Mapping):
        raise Rejected(f"the arguments of {action} are an object of names and values, not {_shown(args)}")
    problems: list[str] = []
    if unknown := [str(name) for name in args if name not in types]:
        known = ", ".join(f"{name}: {type_}" for name, type_ in types.items()) or "none"
        problems.append(f"{', '.join(sorted(unknown))} is unknown, it takes {known}")
    checked: dict[str, Any] = {}
    for name, type_ in types.items():
        value = args.get(name)
        try:
            if name in args:
                checked[name] = _coerce(_parsed(type_), value)
            elif type_.endswith("!"):
                problems.append(f"{name}: {type_} is missing")
        except ValueError as error:
            problems.append(f"{name} must be {type_}, not {error}")
    if problems:
        raise Rejected(f"wrong arguments for {action}: {'; '.join(problems)}")
    return checked


@lru_cache(maxsize=1024)
def _parsed(type_: str) -> TypeNode:
    try:
        return parse_type(type_)
    except GraphQLError as error:
        raise Rejected(f"{type_!r} is no GraphQL input type: {error.message}") from error


def _coerce(type_: TypeNode, value: Any) -> Any:
    if isinstance(type_, NonNullTypeNode):
        if value is None:
            raise ValueError("null")
        return _coerce(type_.type, value)
    if value is None:
        return None
    if isinstance(type_, ListTypeNode):
        if not isinstance(value, list | tuple):
            raise ValueError(_shown(value))
        return [_coerce(type_.type, member) for member in value]
    assert isinstance(type_, NamedTypeNode)
    coerce = _SCALARS.get(type_.name.value)
    if coerce is None:
        raise Rejected(
            f"the manifest names the argument type {type_.name.value!r}; known are {', '.join(ARGUMENT_TYPES)}"
        )
    return coerce(value)


def _id(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(_int(value))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_shown(value))
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise ValueError(_shown(value))
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(_shown(value))
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_shown(value))
    return value


def _date_time(value: Any) -> str:
    try:
        parsed = datetime.fromisoformat(_string(value))
    except ValueError:
        raise ValueError(_shown(value)) from None
    if parsed.tzinfo is None:
        raise ValueError(f"{_shown(value)} without a zone")
    return value


def _json(value: Any) -> Any:
    return value


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "ID": _id,
    "String": _string,
    "Int": _int,
    "Int64": _int,
    "Float": _float,
    "Boolean": _boolean,
    "DateTime": _date_time,
    "JSON": _json,
}
ARGUMENT_TYPES = tuple(_SCALARS)


def _shown(value: Any) -> str:
    """The value as an error may show it: short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
