"""A cache of the last used values, with a size limit: the oldest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Recent"]

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """`bound`: the most that all values together may weigh; a value heavier than that is not kept."""

    def __init__(self, bound: int, weigh: Callable[[Value], int]):
        self._bound = bound
        self._weigh = weigh
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._weight = 0

    def get(self, name: str) -> Value | None:
        if name in self._values:
            self._values.move_to_end(name)
        return self._values.get(name)

    def put(self, name: str, value: Value) -> None:
        if (before := self._values.pop(name, None)) is not None:
            self._weight -= self._weigh(before)
        self._values[name] = value
        self._weight += self._weigh(value)
        while self._weight > self._bound:
            _, oldest = self._values.popitem(last=False)
            self._weight -= self._weigh(oldest)
