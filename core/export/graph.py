"""Writes the graph: `graph/TYPE.jsonl` with a node on each line, and `graph/schema.graphql`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from core.export.ledger import Ledger
from core.export.photograph import IMAGE, SEGMENT, read_person, read_photograph
from core.export.target import ExportFolder

__all__ = ["GraphWriter", "Progress", "Record"]

TOLD = 1_000

Record = dict[str, Any]
Progress = Callable[[str, str], None]


class GraphWriter:
    """Reads what `core.node.whole_graph` yields. `counts`: nodes by type."""

    def __init__(self, records: AsyncIterator[Record], progress: Progress) -> None:
        self._records, self._progress = records, progress
        self._next: Record | None = None
        self.counts: dict[str, int] = {}

    async def begin(self) -> Record:
        """Return what the node says of its graph, once it has made the copy that is read."""
        async for record in self._records:
            if "graph" in record:
                return record["graph"]
            self._progress(record["step"], record["detail"])
        raise AssertionError("the node's answer ended before the graph")

    async def write(self, about: Record, target: ExportFolder, ledger: Ledger) -> None:
        """Write all nodes, and note the photographs and people among them in the ledger."""
        schema = ledger.place("schema", "graph/schema.graphql")
        ledger.written("schema", *target.write(schema.path, [about["schema"].encode()]))
        self._next = await anext(self._records, None)
        for type_ in about["types"]:
            self.counts[type_] = 0
            written = await target.receive(self._lines(type_, ledger))
            owner = f"type/{type_}"
            target.move_part(ledger.place(owner, f"graph/{type_}.jsonl").path)
            ledger.written(owner, *written)
        ledger.commit()

    async def _lines(self, type_: str, ledger: Ledger) -> AsyncIterator[bytes]:
        while self._next is not None and self._next["type"] == type_:
            node = self._next["node"]
            _note(ledger, type_, node)
            self.counts[type_] += 1
            if self.counts[type_] % TOLD == 0:
                self._progress("writing the graph", f"{self.counts[type_]:,} nodes of {type_}")
            yield json.dumps(node, ensure_ascii=False, sort_keys=True).encode() + b"\n"
            self._next = await anext(self._records, None)


def _note(ledger: Ledger, type_: str, node: Record) -> None:
    if type_ == IMAGE and (photograph := read_photograph(node)):
        ledger.add_photograph(node["id"], photograph)
    elif type_ == SEGMENT and (found := read_person(node)):
        ledger.add_person(*found)
