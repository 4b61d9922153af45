"""The places of an image's bytes, decided without I/O.

The same bytes are one Image, however many objects hold them: `places` names them all, the newest last, and `place` is
the newest, so that a file that was moved (copied, then deleted at its old place) is still found. An object that is
overwritten with other bytes is no longer a place of the earlier Image; an Image without any place is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MOST_PLACES", "Arrival", "Known", "arrive"]

MOST_PLACES = 100


@dataclass(frozen=True)
class Known:
    """An Image of the graph."""

    id: str
    sha256: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Arrival:
    """What changes in the graph. `places`: of the Image with these bytes, None if nothing changes for it."""

    places: tuple[str, ...] | None
    moved: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (id, places left)
    gone: tuple[str, ...] = ()  # ids


def arrive(place: str, sha256: str, known: Sequence[Known]) -> Arrival:
    """These bytes are now at `place`; `known` are the Images with the same bytes or at the same place."""
    same = next((image for image in known if image.sha256 == sha256), None)
    overwritten = [image for image in known if image.sha256 != sha256 and place in image.places]
    left = {image.id: tuple(other for other in image.places if other != place) for image in overwritten}
    return Arrival(
        places=None if same and place in same.places else (*(same.places if same else ()), place)[-MOST_PLACES:],
        moved=tuple((id, places) for id, places in left.items() if places),
        gone=tuple(id for id, places in left.items() if not places),
    )
