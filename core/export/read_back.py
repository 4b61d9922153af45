"""The import as a whole: an export is checked, then its nodes and its objects are written into an empty cloud.

The nodes come first. So the image importer finds each arriving picture in the graph, with its place, and changes nothing: no picture is
doubled, and what a person decided stays. How far it is stands in the data folder, from before the first write.
"""

from __future__ import annotations

import asyncio
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec

from core.export.check import Header, check_export, read_lines
from core.export.graph import Progress, Record
from core.export.nodes import batches, write_batch
from core.export.objects import ObjectStorage
from core.export.uploads import Uploads
from pcloud.errors import Rejected

__all__ = ["ImportingNode", "read_export"]

MARK = "import.json"
OFTEN = 20  # objects between two marks


class ImportingNode(Protocol):
    """The part of `core.cli.client.Client` that is needed."""

    async def ask(self, method: str, path: str, *, json_body: Any = None) -> Any: ...
    async def graphql(
        self, query: str, variables: dict[str, Any] | None = None, *, key: str = ""
    ) -> dict[str, Any]: ...


class Mark(msgspec.Struct):
    """How far the import of the export with this digest is: transactions and objects that are written."""

    digest: str
    batches: int = 0
    objects: int = 0
    done: bool = False


async def read_export(node: ImportingNode, root: Path, data: Path, progress: Progress) -> Record:
    """Import the export `root` into the running node's cloud, or go on.

    Raises `Corrupt` for a damaged export, `Rejected` for a cloud that has something else or lacks an app. Nothing is written then."""
    began = time.monotonic()
    header = await asyncio.to_thread(check_export, root, progress)
    storage = ObjectStorage(node)
    mark = _read(data / MARK)
    if mark is None or mark.digest != header.digest:
        await _check_cloud(node, storage, header, mark)
        mark = Mark(header.digest)
        _save(data / MARK, mark)
    before = (mark.batches, mark.objects)
    if not mark.done:
        await _write_nodes(node, root, header, mark, data, progress)
        await _write_objects(storage, root, mark, data, progress)
        mark.done = True
        _save(data / MARK, mark)
    return {
        "folder": str(root), "transactions": mark.batches - before[0], "objects": mark.objects - before[1],
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


async def _check_cloud(node: ImportingNode, storage: ObjectStorage, header: Header, mark: Mark | None) -> None:
    """Raises `Rejected` unless the cloud has all apps and types, and nothing else."""
    if mark is not None and not mark.done:
        raise Rejected(
            "the import of another export into this cloud is not complete: end that one, or begin with an empty cloud"
        )
    there = {one["name"] for one in (await node.graphql("{ apps }"))["apps"]}
    if lacking := [f"{name} {version}" for name, version in sorted(header.apps.items()) if name not in there]:
        raise Rejected(f"install these apps first: {', '.join(lacking)} (`pcloud app install`)")
    for name, type_ in header.types.items():
        found = (await node.graphql(f'{{ __type(name: "Add{name}Input") {{ inputFields {{ name }} }} }}'))["__type"]
        fields = {one["name"] for one in found["inputFields"]} if found else set[str]()
        unknown = sorted(set(type_.fields) - fields)
        if unknown:
            app = type_.fields[unknown[0]].app
            version = header.apps.get(app, "that declared it")
            raise Rejected(f"the type {name} has no field {unknown[0]!r} here: install the version {version} of {app}")
    await _check_empty(node, storage)


async def _check_empty(node: ImportingNode, storage: ObjectStorage) -> None:
    asked = (await node.graphql("{ __schema { queryType { fields { name } } } }"))["__schema"]["queryType"]["fields"]
    for name in (one["name"] for one in asked if one["name"].startswith("aggregate")):
        kind = name.removeprefix("aggregate")
        count = 0 if kind.startswith("Core_") else (await node.graphql(f"{{ {name} {{ count }} }}"))[name]["count"]
        if count:
            raise Rejected(
                f"this cloud is not empty, it has {count:,} {kind}: import into a new one (`pcloud up --data DIR`)"
            )
    for one in await storage.buckets():
        if one["objects"]:
            raise Rejected(
                f"this cloud is not empty, its bucket {one['bucket']} has {one['objects']:,} objects: import into a new one "
                "(`pcloud up --data DIR`)"
            )


async def _write_nodes(
    node: ImportingNode, root: Path, header: Header, mark: Mark, data: Path, progress: Progress
) -> None:
    for batch in islice(batches(root, header), mark.batches, None):
        await write_batch(node, batch, f"import {header.digest[:32]} {mark.batches}")
        mark.batches += 1
        _save(data / MARK, mark)
        progress("writing the graph", f"transaction {mark.batches:,}, {batch[0]}")


async def _write_objects(storage: ObjectStorage, root: Path, mark: Mark, data: Path, progress: Progress) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=300)
    buckets = {one["bucket"] for one in await storage.buckets()}
    async with aiohttp.ClientSession(timeout=timeout) as session:
        uploads = Uploads(storage, session, root, buckets)
        for _, one in islice(read_lines(root / "objects.jsonl"), mark.objects, None):
            await uploads.put(one)
            mark.objects += 1
            if mark.objects % OFTEN == 0:
                _save(data / MARK, mark)
            progress("uploading", f"object {mark.objects:,}")


def _read(path: Path) -> Mark | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise Rejected(f"{path} can't be read ({error}): delete it, and import into an empty cloud") from error


def _save(path: Path, mark: Mark) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
