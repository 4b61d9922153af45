"""Tests what Cypher can't test: values come page by page and are tested in a thread, until the query's time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from projections.graph.catalog import FieldDef
from projections.graph.neo4j.connection import TimedOut
from projections.graph.neo4j.names import quoted

__all__ = ["Scan", "found_by", "scan_text"]

ROWS = 4_000  # for a page, at most
PAGE_BYTES = 2**20
Ask = Callable[[str, Mapping[str, Any], float], Awaitable[list[list[Any]]]]


@dataclass(frozen=True, slots=True)
class Scan:
    """Ids of the entities whose value passes: `text` returns pages of (id, value), `parameter` takes the ids."""

    parameter: str
    text: str
    passes: Callable[[Any], bool]


def scan_text(label: str, field: FieldDef) -> str:
    """The next page: the pairs of at most `$rows` entities after `$after`, or null if they take more than `$most`."""
    value = f"n.{quoted(field.name)}"
    letters = field.kind in ("String", "ID")
    size = f"size({value})" if letters else "1"
    if field.many:
        size = f"reduce(total = 0, item IN {value} | total + {'size(item)' if letters else '1'})"
    return (
        f"MATCH (n:{label}) USING INDEX SEEK n:{label}(id) WHERE n.id > $after AND {value} IS NOT NULL "
        f"WITH n ORDER BY n.id LIMIT $rows WITH collect(n) AS page, sum({size}) AS size "
        f"RETURN CASE WHEN size > $most AND size(page) > 1 THEN null ELSE [n IN page | [n.id, {value}]] END"
    )


async def found_by(scan: Scan, ask: Ask, seconds: float) -> list[str]:
    """The ids; raises `TimedOut`."""
    ends = time.monotonic() + seconds
    found: list[str] = []
    after, rows = "", ROWS
    while True:
        if (left := ends - time.monotonic()) <= 0:
            raise TimedOut("values are tested one by one, and there are too many of them")
        [(page,)] = await ask(scan.text, {"after": after, "rows": rows, "most": PAGE_BYTES}, left)
        if page is None:
            rows = max(1, rows // 4)
            continue
        found += await asyncio.to_thread(_passing, scan, page)
        if len(page) < rows:
            return found
        after, rows = page[-1][0], min(ROWS, rows * 2)


def _passing(scan: Scan, page: list[tuple[str, Any]]) -> list[str]:
    return [id for id, value in page if scan.passes(value)]
