"""A picture's faces as the app asks for them: from a bounded process, which holds the detector.

The detector is opened once, in the server from which the processes are forked, so that a picture does not wait for it.
The app itself loads neither numpy nor networks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pcloud.decoding import decode
from pcloud.errors import Rejected

from .face import Face
from .settings import Settings

__all__ = ["Detected", "Looking"]


@dataclass(frozen=True)
class Detected:
    detector: str
    version: str
    faces: list[Face]


class Looking:
    """At most `settings.parallel` pictures at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.parallel)

    async def look(self, path: Path) -> Detected:
        """The faces of the picture at `path`. Rejected: the picture's fault. Unavailable: the machine's."""
        settings = self._settings
        detector = (settings.detector, settings.model)
        async with self._slots:
            found = await decode(
                "face_detector.bounded:faces_in", path, *detector, settings.pixels,
                prepare=("face_detector.bounded:detector", *detector), seconds=settings.seconds, memory=settings.memory,
            )  # fmt: skip
        try:
            return msgspec.convert(found, Detected)
        except msgspec.ValidationError as error:  # the picture has taken the process over
            raise Rejected(f"the picture's faces make no sense: {str(error)[:200]}") from error
