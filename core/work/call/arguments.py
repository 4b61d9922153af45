"""Checks a call's arguments against the types in the callee's manifest, before anything is sent.

The types are GraphQL input types over `ID String Int Int64 Float Boolean DateTime JSON`, with `!` and lists. Unlike
in GraphQL, a single value is not accepted for a list of one. `Int` holds 64 bits: an object's size must fit, and JSON
carries it. A further type is `Action`: an action that the caller hands over. It is never among the values, which may
be anyone's data, but in a separate part of the call."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from graphql import GraphQLError, ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode, parse_type

from pcloud.errors import Rejected

__all__ = ["ARGUMENT_TYPES", "check_arguments", "encode_args", "takes_action"]

# Equal arguments have equal bytes: a run's key may be made of them.
encode_args = msgspec.json.Encoder(order="deterministic").encode

_INT64 = 2**63
_ACTIONS = ("Action", "Action!")


def takes_action(type_: str) -> bool:
    """Return True if an argument of this type is an action that is handed over."""
    return type_ in _ACTIONS


def check_arguments(
    action: str, types: Mapping[str, str], args: Mapping[str, Any], actions: Collection[str] = ()
) -> dict[str, Any]:
    """Return the arguments with ids as text. Raises `Rejected` that names each argument that is unknown, missing or of
    another type. `actions`: the arguments for which an action is handed over."""
    if not isinstance(args, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from outside
        raise Rejected(f"the arguments of {action} must be an object of names and values, not {_shown(args)}")
    problems: list[str] = []
    if unknown := [str(name) for name in (*args, *actions) if name not in types]:
        known = ", ".join(f"{name}: {type_}" for name, type_ in types.items()) or "none"
        problems.append(f"{', '.join(sorted(unknown))} is unknown, it takes {known}")
    checked: dict[str, Any] = {}
    for name, type_ in types.items():
        try:
            if takes_action(type_):
                _check_handed_over(name, type_, name in args, name in actions)
            elif name in actions:
                raise _Wrong(f"{name}: {type_} takes no action, its manifest has to declare it as Action")
            elif name in args:
                checked[name] = _coerce(_parsed(type_), args[name])
            elif type_.endswith("!"):
                raise _Wrong(f"{name}: {type_} is missing")
        except _Wrong as wrong:
            problems.append(str(wrong))
        except ValueError as error:
            problems.append(f"{name} must be {type_}, not {error}")
    if problems:
        raise Rejected(f"wrong arguments for {action}: {'; '.join(problems)}")
    return checked


class _Wrong(Exception):
    """A problem, with its message."""


def _check_handed_over(name: str, type_: str, is_value: bool, is_action: bool) -> None:
    if is_value or (not is_action and type_.endswith("!")):
        what = "is handed over and can't be a value" if is_value else "is missing"
        raise _Wrong(f'{name}: {type_} {what}: name it beside `args`, as `actions: {{"{name}": "APP/ACTION"}}`')


@lru_cache(maxsize=1024)
def _parsed(type_: str) -> TypeNode:
    try:
        return parse_type(type_)
    except GraphQLError as error:
        raise Rejected(f"{type_!r} is not a GraphQL input type: {error.message}") from error


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
        return [_coerce(type_.type, member) for member in cast("list[Any]", value)]
    assert isinstance(type_, NamedTypeNode)
    coerce = _SCALARS.get(type_.name.value)
    if coerce is None:
        raise Rejected(
            f"the manifest names the argument type {type_.name.value!r}; use one of {', '.join(ARGUMENT_TYPES)}"
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
    """Return the value in the short form in which an error shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
