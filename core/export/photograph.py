"""What an image's node says of its file: name, date, place, people. Pure.

Of all types, only image-importer's `Image` and face-detector's `ImageSegment` are known here, under the names that the owner sees.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import msgspec

from core.export.names import safe_part

__all__ = ["IMAGE", "SEGMENT", "Person", "Photograph", "read_person", "read_photograph"]

IMAGE, SEGMENT = "ImageImporter_Image", "FaceDetector_ImageSegment"
ZONE = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)


class Person(msgspec.Struct, frozen=True):
    """A region of a picture: its upper left corner and size as fractions of the upright picture; `name` may be ''."""

    x: float
    y: float
    width: float
    height: float
    name: str = ""


class Photograph(msgspec.Struct, frozen=True):
    """`taken`: local time, `2024-05-17T10:00:00.000`, with its offset if that is known; '' without a date."""

    sha256: str
    places: tuple[str, ...]
    taken: str = ""
    title: str = ""
    latitude: float | None = None
    longitude: float | None = None
    width: int = 0
    height: int = 0
    mime: str = ""

    @property
    def wanted(self) -> str:
        """The path that its file has unless another one has it already."""
        name = PurePosixPath(self.places[-1]).name
        if not PurePosixPath(name).suffix:
            name += mimetypes.guess_extension(self.mime) or ""
        if not self.taken:
            return f"photographs/undated/{safe_part(name)}"
        return f"photographs/{self.taken[:4]}/{self.taken[:10]} {safe_part(name)}"


def read_photograph(node: Mapping[str, Any]) -> Photograph | None:
    """Return None if the node is not of the form that image-importer writes."""
    fields = node["fields"]
    places = fields.get("places") or [fields.get("place")]
    try:
        return msgspec.convert(
            {**{name: fields[name] for name in Photograph.__struct_fields__ if name in fields},
             "places": places, "taken": _local(fields.get("takenAt"), fields.get("takenAtZone"))},
            Photograph,
        )  # fmt: skip
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def read_person(node: Mapping[str, Any]) -> tuple[str, Person] | None:
    """Return the image's id and the region; None if it has no image."""
    images, fields = node["relations"].get("image"), node["fields"]
    try:
        person = msgspec.convert({**fields, "name": fields.get("label") or ""}, Person)
    except msgspec.ValidationError:
        return None
    return (images[0], person) if images else None


def _local(at: Any, zone: Any) -> str:
    """The clock's time where the picture was taken."""
    if not isinstance(at, str):
        return ""
    instant = datetime.fromisoformat(at.removesuffix("Z"))
    found = ZONE.fullmatch(zone) if isinstance(zone, str) else None
    if found is None:
        return instant.isoformat(timespec="milliseconds")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    local = instant - offset if found[1] == "-" else instant + offset
    return local.isoformat(timespec="milliseconds") + found[0]
