"""What a detection changes in the graph, decided without I/O.

A segment's key is (image, detector, version, number), so repeating a detection writes the same segments, and then
changes nothing. Segments of an earlier detector of this app are replaced; those of people or other apps stay. A label
moves to the new segment at the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .face import Face

__all__ = ["Change", "change"]

_SAME_PLACE = 0.5  # intersection over union

Segment = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """`add`: inputs of segments that are new or differ. `delete`: ids. `count`: of all faces, None if unchanged."""

    add: tuple[dict[str, Any], ...]
    delete: tuple[str, ...]
    count: int | None

    def __bool__(self) -> bool:
        return bool(self.add or self.delete or self.count is not None)


def change(
    image: str,
    count: int | None,
    there: Sequence[Segment],
    faces: Sequence[Face],
    *,
    detector: str,
    version: str,
    replaces: Sequence[str],
) -> Change:
    """The change from the stored segments and count to the found faces; `replaces`: names of this app's detectors."""
    old = [segment for segment in there if segment["detector"] in replaces]
    by_key = {segment["key"]: segment for segment in old}
    wanted = [_segment(image, face, number, detector, version) for number, face in enumerate(faces)]
    keys = {segment["key"] for segment in wanted}
    leaving = [segment for segment in old if segment["key"] not in keys]
    total = len(there) - len(old) + len(wanted)
    add = [
        {**_labelled(segment, leaving), "image": {"id": image}}
        for segment in wanted
        if not _equal(segment, by_key.get(segment["key"]))
    ]
    return Change(tuple(add), tuple(segment["id"] for segment in leaving), total if total != count else None)


def _segment(image: str, face: Face, number: int, detector: str, version: str) -> dict[str, Any]:
    return {
        "key": f"{image}/{detector}/{version}/{number}",
        "x": face.x,
        "y": face.y,
        "width": face.width,
        "height": face.height,
        "landmarks": list(face.landmarks),
        "confidence": face.confidence,
        "detector": detector,
        "detectorVersion": version,
    }


def _equal(segment: dict[str, Any], there: Segment | None) -> bool:
    return there is not None and all(there.get(name) == value for name, value in segment.items())


def _labelled(segment: dict[str, Any], leaving: Sequence[Segment]) -> dict[str, Any]:
    labels = [(_overlap(segment, old), old["label"]) for old in leaving if old.get("label")]
    best = max(labels, default=(0.0, ""))
    return {**segment, "label": best[1]} if best[0] >= _SAME_PLACE else segment


def _overlap(one: Segment, other: Segment) -> float:
    """Intersection over union of two boxes."""
    width = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
    height = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
    shared = max(0.0, width) * max(0.0, height)
    both = one["width"] * one["height"] + other["width"] * other["height"] - shared
    return shared / both if both > 0 else 0.0
