"""The owner's settings: which detector, and the limits that protect a small machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pcloud.errors import Rejected

__all__ = ["DETECTORS", "Settings"]

DETECTORS = ("blazeface", "yunet")


@dataclass(frozen=True)
class Settings:
    detector: str = "blazeface"
    model: str = ""  # the file of a YuNet; blazeface has its own
    bytes: int = 512 * 2**20  # largest file that is downloaded
    pixels: int = 200_000_000  # largest picture: today's phones make 200 megapixels
    memory: int = 2048 * 2**20  # for one picture, beyond the detector
    seconds: float = 60  # for one picture
    parallel: int = 2  # pictures at once
    faces: int = 300  # the most certain ones of one picture; all of them are one transaction

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Settings:
        """Raises `Rejected` for an unknown setting or an invalid value."""
        known = {field.name: field.default for field in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise Rejected(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
            if isinstance(known[name], str):
                if not isinstance(value, str):
                    raise Rejected(f"setting {name!r} must be a text, not {value!r}")
                continue
            numbers = (int, float) if name == "seconds" else int
            if isinstance(value, bool) or not isinstance(value, numbers) or value <= 0:
                raise Rejected(f"setting {name!r} must be a number above zero, whole but for times, not {value!r}")
        settings = cls(**given)
        if settings.detector not in DETECTORS:
            raise Rejected(f"setting 'detector' is {settings.detector!r}; choose one of {', '.join(DETECTORS)}")
        if settings.detector == "yunet" and not settings.model:
            raise Rejected("the detector yunet needs the setting 'model': the path of a YuNet as TFLite file")
        if settings.faces > 900:
            raise Rejected(f"setting 'faces' is {settings.faces}; one transaction holds 900 at most")
        return settings
