"""The port: a face, and the contract of a detector. Adapters are `blazeface` and `yunet`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Detector", "Face"]


@dataclass(frozen=True)
class Face:
    """A face in an upright picture; all measures are fractions of its width or height, 0 to 1, from the upper left
    corner.

    `landmarks`: x and y alternately, in the detector's own order, which begins with the two eyes. `confidence`: 0 to 1.
    """

    x: float
    y: float
    width: float
    height: float
    landmarks: tuple[float, ...]
    confidence: float


class Detector(Protocol):
    """`name` and `version` are stored in every segment: another version of a detector may find other faces.

    `detect` takes an upright picture in RGB and returns its faces, the most certain first; the same picture gives the
    same result. It blocks, and one detector serves one thread at a time.
    """

    name: str
    version: str

    def detect(self, picture: Image.Image) -> list[Face]: ...
