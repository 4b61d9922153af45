"""Selects what may leave the node: a shape names the fields, and each value must have the form that its place demands.

A shape is `number`, `flag`, `word` or `present`, a mapping of names to shapes (`EACH` for any name that is a word), or a list of one
shape. What is not named, or has another form, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

__all__ = ["EACH", "LEFT_OUT", "Shape", "allowed", "allowed_metrics", "flag", "number", "present", "word"]

Shape = Any  # a function of one value, a mapping of shapes, or a list of one shape
LEFT_OUT = object()
EACH = object()
MOST = 1000  # members of a list or mapping
# A name, a state, a version: letters, digits and a few signs, and shorter than a token, which has 32 digits; or a trigger, `app/name`.
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,30}|[a-z][a-z0-9-]{0,30}/[a-z][a-z0-9-]{0,30}", re.ASCII)
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
SAMPLE = re.compile(r"((?:pcloud|process|python)_[a-z_]+)(?:\{(.*)\})? ([0-9.eE+-]+|NaN|\+Inf)", re.ASCII)
LABEL = re.compile(r'([a-z_]+)="([^"\\]*)"', re.ASCII)


def number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else LEFT_OUT


def flag(value: Any) -> Any:
    return value if isinstance(value, bool) else LEFT_OUT


def word(value: Any) -> Any:
    known = isinstance(value, str) and WORD.fullmatch(value) and not ADDRESS.search(value)
    return value if known else LEFT_OUT


def present(value: Any) -> Any:
    """Return True or False in place of a text that may say anything."""
    return bool(value)


def allowed(value: Any, shape: Shape) -> Any:
    """Return the part of `value` that `shape` names, or `LEFT_OUT`."""
    if isinstance(shape, Mapping):
        return _members(value, cast("Mapping[Any, Shape]", shape))
    if isinstance(shape, list):
        if not isinstance(value, list):
            return LEFT_OUT
        inner = cast("list[Shape]", shape)[0]
        found = [allowed(one, inner) for one in cast("list[Any]", value)[:MOST]]
        return [one for one in found if one is not LEFT_OUT]
    return cast("Callable[[Any], Any]", shape)(value)


def _members(value: Any, shapes: Mapping[Any, Shape]) -> Any:
    if not isinstance(value, Mapping):
        return LEFT_OUT
    given = cast("Mapping[Any, Any]", value)
    if EACH in shapes:
        shapes = dict.fromkeys([name for name in list(given)[:MOST] if word(name) is not LEFT_OUT], shapes[EACH])
    found = {name: allowed(given[name], shape) for name, shape in shapes.items() if name in given}
    return {name: one for name, one in found.items() if one is not LEFT_OUT}


def allowed_metrics(text: str) -> str:
    """Return the samples of Prometheus' text form whose labels are words."""
    kept: list[str] = []
    for line in text.splitlines():
        found = SAMPLE.fullmatch(line)
        if found and all(word(value) is not LEFT_OUT or not value for _, value in LABEL.findall(found[2] or "")):
            labels = ",".join(f'{name}="{value}"' for name, value in LABEL.findall(found[2] or ""))
            kept.append(f"{found[1]}{{{labels}}} {found[3]}" if labels else f"{found[1]} {found[3]}")
    return "\n".join(kept) + "\n"
