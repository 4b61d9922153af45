"""The owner's settings, with the limits that protect a small machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pcloud.errors import Rejected

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    bytes: int = 512 * 2**20  # largest file that is downloaded
    pixels: int = 200_000_000  # largest picture: today's phones make 200 megapixels
    memory: int = 1024 * 2**20  # for the bounded process
    seconds: float = 60  # for decoding one picture
    parallel: int = 2  # pictures decoded at once

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Settings:
        """Raises `Rejected` for an unknown setting, or one that is not a number above zero."""
        known = {field.name for field in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise Rejected(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
            numbers = (int, float) if name == "seconds" else int
            if isinstance(value, bool) or not isinstance(value, numbers) or value <= 0:
                raise Rejected(f"setting {name!r} must be a number above zero, whole but for `seconds`, not {value!r}")
        return cls(**given)
