"""The export as a whole: the graph at one revision, then the bytes, the sidecars, and last the list of all files.

The folder is complete exactly if it has `SHA256SUMS`: that is removed first and written last.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from core.export.graph import GraphWriter, Progress, Record
from core.export.ledger import Ledger
from core.export.objects import ObjectStorage, ObjectWriter
from core.export.readme import README
from core.export.sidecar import sidecar
from core.export.target import STATE, SUMS, ExportFolder

__all__ = ["FORMAT", "ExportedNode", "write_export"]

FORMAT = 1


class ExportedNode(Protocol):
    """The part of `core.cli.client.Client` that is needed."""

    async def ask(self, method: str, path: str, *, json_body: Any = None) -> Any: ...
    def lines(self, method: str, path: str) -> AsyncGenerator[Record]: ...


async def write_export(node: ExportedNode, folder: Path, data: Path, progress: Progress) -> Record:
    """Export the cloud of a running node into `folder` (absolute), or go on; return what a person should know of it.

    Raises `Rejected` for a folder that has something else, `Unavailable` if its disk or the node fails meanwhile."""
    began = time.monotonic()
    target = ExportFolder(folder)
    target.open(data)
    async with aclosing(node.lines("GET", "/graph/all")) as records:
        graph = GraphWriter(records, progress)
        about = await graph.begin()
        with target.told(), closing(Ledger(target.root / STATE, about["cloud"])) as ledger:
            objects = ObjectWriter(ObjectStorage(node), target, ledger, progress)
            await objects.begin()
            target.remove(SUMS)
            await graph.write(about, target, ledger)
            await objects.write()
            photographs = await asyncio.to_thread(_sidecars, target, ledger, progress)
            missing = ledger.missing()
            done = {
                "format": FORMAT, "revision": about["revision"], "nodes": sum(graph.counts.values()), "photographs": photographs,
                "objects": objects.fetched + objects.kept, "missing": len(missing),
            }  # fmt: skip
            header = {**done, **{key: about[key] for key in ("cloud", "apps", "types")}, "counts": graph.counts}
            await asyncio.to_thread(_finish, target, ledger, header, missing)
    return {**done, "folder": str(target.root), "fetched": objects.fetched, "bytes": objects.bytes,
            "seconds": round(time.monotonic() - began, 1)}  # fmt: skip


def _sidecars(target: ExportFolder, ledger: Ledger, progress: Progress) -> int:
    """Write a sidecar for each photograph that is there, and note those that are not; return the number of the former."""
    count = 0
    for id, photograph, people in ledger.photographs():
        file = ledger.file(f"photograph/{id}")
        if file is None or not file.sha256 or not ledger.is_current(f"photograph/{id}"):
            ledger.miss(photograph.places[-1], "the graph has this photograph, the object store does not")
            continue
        _write(target, ledger, f"sidecar/{id}", f"{file.path}.xmp", sidecar(photograph, people))
        count += 1
        progress("writing", f"sidecar {count:,}")
    ledger.commit()
    return count


def _finish(target: ExportFolder, ledger: Ledger, header: Record, missing: list[tuple[str, str]]) -> None:
    made = {**header, "made": datetime.now(UTC).isoformat(timespec="seconds"), "program": version("pcloud-node")}
    _write(target, ledger, "readme", "README.txt", README.encode())
    _write(target, ledger, "header", "export.json", json.dumps(made, ensure_ascii=False, indent=1).encode() + b"\n")
    _write_lines(target, ledger, "objects", "objects.jsonl", ledger.objects())
    if missing:
        _write_lines(
            target, ledger, "missing", "missing.jsonl", ({"place": place, "why": why} for place, why in missing)
        )
    for path in ledger.left():
        target.remove(path)
    ledger.commit()
    target.write(SUMS, (f"{file.sha256}  {file.path}\n".encode() for file in ledger.files()))
    target.remove_part()


def _write_lines(target: ExportFolder, ledger: Ledger, owner: str, path: str, records: Iterator[Record]) -> None:
    ledger.place(owner, path)
    lines = (json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in records)
    ledger.written(owner, *target.write(path, lines))


def _write(target: ExportFolder, ledger: Ledger, owner: str, wanted: str, data: bytes) -> None:
    """Write a small file unless it is there already."""
    file = ledger.place(owner, wanted)
    if not target.has(*file) or (target.root / file.path).read_bytes() != data:
        ledger.written(owner, *target.write(file.path, [data]))
