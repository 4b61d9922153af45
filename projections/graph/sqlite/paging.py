"""Orders and cursors as SQL: missing values last in either direction, pages that stay valid when rows come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from projections.graph.contract import Order
from projections.graph.sqlite.layout import quoted

__all__ = ["beyond", "first_key_range", "order_by"]


def order_by(keys: Sequence[Order], alias: str) -> str:
    return ", ".join(
        f"{alias}.{quoted(key.field)} {'DESC' if key.descending else 'ASC'}{'' if key.field == 'id' else ' NULLS LAST'}"
        for key in keys
    )


def beyond(keys: Sequence[Order], at: Sequence[Any], alias: str, values: list[Any]) -> str:
    """The condition for rows after the cursor's; appends the values that it binds to `values`."""
    key, value = keys[0], at[0]
    column = f"{alias}.{quoted(key.field)}"
    sign = "<" if key.descending else ">"
    if len(keys) == 1:
        values.append(value)
        return f"{column} {sign} ?"
    if value is None:
        return f"({column} IS NULL AND {beyond(keys[1:], at[1:], alias, values)})"
    values += [value, value]
    return f"({column} {sign} ? OR {column} IS NULL OR ({column} = ? AND {beyond(keys[1:], at[1:], alias, values)}))"


def first_key_range(keys: Sequence[Order], at: Sequence[Any], alias: str) -> list[tuple[str, list[Any]]]:
    """Conditions that cut the rows after the cursor into consecutive parts, each of which an index on the first key
    finds.

    Without them SQLite would walk the index from its beginning to the cursor.
    """
    key, value = keys[0], at[0]
    column = f"{alias}.{quoted(key.field)}"
    if value is None:
        return [(f"{column} IS NULL", [])]
    parts: list[tuple[str, list[Any]]] = [(f"{column} {'<=' if key.descending else '>='} ?", [value])]
    return parts if key.field == "id" else [*parts, (f"{column} IS NULL", [])]
