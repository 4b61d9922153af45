"""What runs in the bounded process: strangers' bytes meet the decoders and the networks only here."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any, BinaryIO

from .detectors import open_detector
from .picture import upright

__all__ = ["detector", "faces_in"]

detector = cache(open_detector)


def faces_in(file: BinaryIO, name: str, model: str, most_pixels: int) -> dict[str, Any]:
    """The fields of `looking.Detected`."""
    held = detector(name, model)
    faces = held.detect(upright(file, most_pixels))
    return {"detector": held.name, "version": held.version, "faces": [asdict(face) for face in faces]}
