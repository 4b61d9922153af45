"""Estimates how many bytes a value of plain data takes as JSON: cheap, and counted each time the value would be written."""

from __future__ import annotations

from typing import Any

__all__ = ["size_of"]

# A number, a key, the punctuation around a value.
SMALL = 8


def size_of(value: Any, most: int | float = float("inf")) -> int:
    """Count at least the letters of all texts in it; stop beyond `most`, and return the count so far."""
    size, waiting = 0, list[Any]([(value,)])
    while waiting and size <= most:
        one: Any = waiting.pop()
        inner: Any = one.values() if type(one) is dict else one  # pyright: ignore[reportUnknownVariableType]
        size += SMALL * len(inner)
        for each in inner:
            kind = type(each)  # pyright: ignore[reportUnknownVariableType]
            if kind is str or kind is bytes:
                size += len(each)
            elif kind is dict or kind is list or kind is tuple:
                waiting.append(each)
    return size
