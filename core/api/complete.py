"""Shapes what a platform command answers (a scalar, a dict, or a list of them) by what was selected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLObjectType,
    GraphQLOutputType,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from core.api.plan import Planner

__all__ = ["complete"]


def complete(value: Any, type_: GraphQLOutputType, fields: Sequence[FieldNode], planner: Planner) -> Any:
    """Raises `TypeError` where the command breaks its own definition."""
    if is_non_null_type(type_):
        if value is None:
            raise TypeError(f"a command answered null where {type_} is promised")
        return complete(value, type_.of_type, fields, planner)
    if value is None or is_leaf_type(type_):
        return value
    if is_list_type(type_):
        return [complete(one, type_.of_type, fields, planner) for one in value]
    assert isinstance(type_, GraphQLObjectType)
    answer: dict[str, Any] = {}
    for key, found in planner.collect(fields, type_.name).items():
        name = found[0].name.value
        if name == "__typename":
            answer[key] = type_.name
        else:
            inner = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
            answer[key] = complete(inner, type_.fields[name].type, found, planner)
    return answer
