"""The detection of one image's faces: read, download, detect, write everything in one mutation.

If the image or its object was deleted meanwhile, nothing is written, and that is not an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from pcloud.errors import NotFound, PCloudError

from .detectors import KNOWN_NAMES
from .looking import Detected
from .segments import Change, change
from .settings import Settings

__all__ = ["Detection"]

_IMAGE = """query ImageOfFaces($id: ID!) {
  getImage(id: $id) {
    place faceCount
    segments(first: 1000) {
      id key label x y width height landmarks confidence detector detectorVersion
    }
  }
}"""


class Graph(Protocol):
    async def query(self, document: str, variables: dict[str, Any], /) -> dict[str, Any]: ...
    async def mutate(self, document: str, variables: dict[str, Any], /) -> dict[str, Any]: ...


class Objects(Protocol):
    def file(self, place: str, most: int, /) -> AbstractAsyncContextManager[Path]: ...


class Detection:
    """`look`: a file's faces."""

    def __init__(
        self,
        settings: Settings,
        graph: Graph,
        objects: Objects,
        *,
        look: Callable[[Path], Awaitable[Detected]],
    ) -> None:
        self._settings, self._graph, self._objects, self._look = settings, graph, objects, look

    async def detect_faces(self, id: str) -> dict[str, Any]:
        """Returns `{"image": id, "faces": number}`; `faces` is None if the image or its bytes were deleted."""
        gone = {"image": id, "faces": None}
        image = await self._image(id)
        if image is None:
            return gone
        try:
            async with self._objects.file(image["place"], self._settings.bytes) as file:
                found = await self._look(file)
        except NotFound:
            return gone
        faces = found.faces[: self._settings.faces]
        wanted = change(
            id,
            image["faceCount"],
            image["segments"] or [],
            faces,
            detector=found.detector,
            version=found.version,
            replaces=KNOWN_NAMES,
        )
        if wanted and not await self._written(id, wanted):
            return gone
        return {"image": id, "faces": len(faces)}

    async def _image(self, id: str) -> dict[str, Any] | None:
        return (await self._graph.query(_IMAGE, {"id": id}))["getImage"]

    async def _written(self, id: str, wanted: Change) -> bool:
        """False if the image was deleted between reading and writing."""
        try:
            await self._graph.mutate(*_operation(id, wanted))
        except PCloudError:
            if await self._image(id) is not None:
                raise
            return False
        return True


def _operation(id: str, wanted: Change) -> tuple[str, dict[str, Any]]:
    """One mutation with all changes, and its variables."""
    roots: list[tuple[str, str, str, Any]] = []  # variable, its type, field, value
    if wanted.delete:
        roots.append(("old", "[ID!]", "deleteImageSegment(filter: {id: $old}) { count }", list(wanted.delete)))
    if wanted.add:
        field = "addImageSegment(input: $new, upsert: true) { count }"
        roots.append(("new", "[AddImageSegmentInput!]!", field, list(wanted.add)))
    if wanted.count is not None:
        update = {"filter": {"id": [id]}, "set": {"faceCount": wanted.count}}
        roots.append(("image", "UpdateImageInput!", "updateImage(input: $image) { count }", update))
    declared = ", ".join(f"${name}: {kind}" for name, kind, _, _ in roots)
    fields = "\n  ".join(field for _, _, field, _ in roots)
    return f"mutation WriteFaces({declared}) {{\n  {fields}\n}}", {name: value for name, _, _, value in roots}
