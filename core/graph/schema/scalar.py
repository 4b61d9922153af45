"""The scalar kinds: which values each takes, and the one canonical form in which each is stored.

Both the GraphQL API and the commands go through `canonical`, so the log holds one spelling, independent of the writer: a DateTime is UTC
with milliseconds (`2024-05-01T10:00:00.000Z`), a Float is never an integer, an Int64 is a number even if it arrived as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pcloud.errors import Rejected

__all__ = ["SCALARS", "canonical", "canonical_datetime"]

SCALARS = ("ID", "String", "Int", "Int64", "Float", "Boolean", "DateTime")

# RFC 3339, section 5.6: datetime.fromisoformat accepts much more (weeks, missing zones).
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# The stored form, in which most values arrive, and which is checked again on the way to the log.
_STORED = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{3}Z", re.ASCII)


def canonical_datetime(value: object) -> str:
    """Return any RFC 3339 time in the stored form; digits beyond the millisecond are cut off. Raises `ValueError`."""
    if type(value) is str and _STORED.fullmatch(value):
        datetime.fromisoformat(value[:19])  # checks that the day exists
        return value
    if isinstance(value, datetime):
        value = value.isoformat()
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected an RFC 3339 time such as 2024-05-01T10:00:00Z")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    moment = datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    millis = (fraction or "")[1:4].ljust(3, "0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis}Z" if moment.year >= 1000 else f"{moment.isoformat()[:19]}.{millis}Z"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("want a text")
    return value


def _id(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _integer(bits: int) -> Callable[[Any], int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def check(value: Any) -> int:
        if bits == 64 and isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value, re.ASCII):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("expected a whole number")
        if not low <= value <= high:
            raise ValueError(f"expected a number from {low} to {high}")
        return value

    return check


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("expected a finite number")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "ID": _id,
    "String": _text,
    "Int": _integer(32),
    "Int64": _integer(64),
    "Float": _float,
    "Boolean": _boolean,
    "DateTime": canonical_datetime,
}


def canonical(kind: str, value: Any, values: Sequence[str] = (), *, place: str = "value") -> Any:
    """Return `value` as a scalar of `kind` is stored (`values`: an enum's). Raises `Rejected` that names `place`."""
    try:
        if kind == "Enum":
            if value not in values:
                raise ValueError(f"expected one of {', '.join(values)}")
            return value
        return _CHECKS[kind](value)
    except (ValueError, OverflowError) as error:
        shown = repr(value)
        raise Rejected(f"{place}: {shown if len(shown) <= 80 else shown[:77] + '…'} is no {kind}: {error}") from error
