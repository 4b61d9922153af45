"""How large an app's archive may be, in each measure that could exhaust a small computer."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ArchiveBounds"]


@dataclass(frozen=True, slots=True)
class ArchiveBounds:
    """`packed`, `unpacked`: bytes. `ratio`: unpacked to packed size, checked only above `ratio_from` unpacked bytes,
    since a small text may compress to a hundredth. `path`: bytes of one member's path, `depth`: its components.
    `text`: bytes of app.yaml, the schema or the lock, which are read into memory."""

    packed: int = 256 * 2**20
    unpacked: int = 1024 * 2**20
    ratio: int = 100
    ratio_from: int = 16 * 2**20
    files: int = 20_000
    path: int = 240
    depth: int = 24
    text: int = 2 * 2**20
