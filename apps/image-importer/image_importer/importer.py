"""The import of one object: download, inspect, write. The result in the graph depends only on its bytes and place.

An object that was deleted meanwhile leaves nothing. A file that is not an image ends the run with the reason
(`Rejected`: another attempt would see the same bytes).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pcloud.errors import NotFound, Rejected

from .places import Arrival, Known, arrive
from .settings import Settings

__all__ = ["Importer", "NewObject"]

_KNOWN = """query KnownImages($sha256: String!, $place: String!) {
  queryImage(filter: {or: [{sha256: {eq: $sha256}}, {places: {eq: $place}}]}) { id sha256 places }
}"""


@dataclass(frozen=True)
class NewObject:
    """The object store's notification to its webhook."""

    bucket: str
    key: str
    etag: str = ""
    size: int = 0
    modified: str = ""

    @property
    def place(self) -> str:
        return f"{self.bucket}/{self.key}"

    @property
    def is_folder(self) -> bool:
        """Tools that work with folders store an empty object whose key ends in a slash."""
        return self.key.endswith("/") and self.size == 0


class Graph(Protocol):
    async def query(self, query: str, variables: dict[str, Any], /) -> dict[str, Any]: ...
    async def mutate(self, mutation: str, variables: dict[str, Any], /) -> dict[str, Any]: ...


class Objects(Protocol):
    def file(self, place: str, most: int, /) -> AbstractAsyncContextManager[Path]: ...


class Importer:
    """`inspect`: a file's facts, a dict, for the key of its object; anything else is the file's fault."""

    def __init__(
        self,
        settings: Settings,
        graph: Graph,
        objects: Objects,
        *,
        inspect: Callable[[Path, str], Awaitable[Any]],
    ) -> None:
        self._settings, self._graph, self._objects, self._inspect = settings, graph, objects, inspect
        self._decoding = asyncio.Semaphore(settings.parallel)
        self._placing = asyncio.Lock()  # two objects with the same bytes must see each other's places

    async def import_object(self, new: NewObject) -> dict[str, Any]:
        """Returns `{"image": id}`, or `{"image": None, "reason": …}` if there is nothing to import."""
        if new.is_folder:
            return {"image": None, "reason": "a folder's placeholder"}
        if new.size > self._settings.bytes:
            raise Rejected(f"the file has {new.size} bytes; the setting `bytes` allows {self._settings.bytes}")
        try:
            facts = await self._look(new)
        except NotFound:
            return {"image": None, "reason": "the object is no longer in the store"}
        return {"image": await self._write(new, facts)}

    async def _look(self, new: NewObject) -> dict[str, Any]:
        async with self._decoding, self._objects.file(new.place, self._settings.bytes) as file:
            facts = await self._inspect(file, new.key)
            if not isinstance(facts, dict):  # the file has taken the process over
                raise Rejected(f"the file's facts make no sense: they are {type(facts).__name__}")
            return {**facts, "sha256": await asyncio.to_thread(_sha256, file), "size": file.stat().st_size}

    async def _write(self, new: NewObject, facts: dict[str, Any]) -> str:
        async with self._placing:
            answer = await self._graph.query(_KNOWN, {"sha256": facts["sha256"], "place": new.place})
            rows = answer["queryImage"]
            known = [Known(row["id"], row["sha256"], tuple(row["places"] or ())) for row in rows]
            arrival = arrive(new.place, facts["sha256"], known)
            same = next((image.id for image in known if image.sha256 == facts["sha256"]), None)
            operation = _operation(arrival, same, new, facts)
            if operation is None:
                return str(same)
            written = await self._graph.mutate(*operation)
            return same or str(written["addImage"]["image"][0]["id"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _operation(
    arrival: Arrival, same: str | None, new: NewObject, facts: dict[str, Any]
) -> tuple[str, dict[str, Any]] | None:
    """One mutation with all changes, and its variables; None if nothing changes."""
    roots: list[tuple[str, str, str, dict[str, Any] | list[str]]] = []  # alias, field with argument, type, value
    if arrival.places is not None and same is None:
        image = {**facts, **_placed(arrival.places), "importedAt": new.modified or _now()}
        roots.append(("addImage", "addImage(input: [$addImage]) { image { id } }", "AddImageInput!", image))
    elif arrival.places is not None:
        roots.append(_move("update", str(same), arrival.places))
    roots += [_move(f"move{n}", id, places) for n, (id, places) in enumerate(arrival.moved)]
    if arrival.gone:
        field = "deleteImage(filter: {id: $gone}) { count }"
        roots.append(("gone", field, "[ID!]", list(arrival.gone)))
    if not roots:
        return None
    declared = ", ".join(f"${alias}: {kind}" for alias, _, kind, _ in roots)
    fields = "\n  ".join(f"{alias}: {field}" for alias, field, _, _ in roots)
    return f"mutation ImportImage({declared}) {{\n  {fields}\n}}", {alias: value for alias, _, _, value in roots}


def _move(alias: str, id: str, places: tuple[str, ...]) -> tuple[str, str, str, dict[str, Any]]:
    value = {"filter": {"id": [id]}, "set": _placed(places)}
    return alias, f"updateImage(input: ${alias}) {{ count }}", "UpdateImageInput!", value


def _placed(places: tuple[str, ...]) -> dict[str, Any]:
    return {"place": places[-1], "places": list(places)}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
