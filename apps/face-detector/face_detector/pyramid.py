"""Where to look in a picture: the whole, then tiles of half its long side, then of a quarter, overlapping by a quarter.

A detector that sees 192 × 192 pixels finds a face only if it fills a tenth of them; tiles make small faces large.
"""

from __future__ import annotations

import math

from .geometry import Region

__all__ = ["tiles"]

_STEP = 0.75  # as a fraction of a tile's side: a face up to a quarter of a tile is whole in one of them


def tiles(size: tuple[int, int], parts: int) -> list[Region]:
    """Square tiles with side long side / `parts` that cover a picture, cut at its border; 1 gives the whole picture."""
    width, height = size
    side = max(width, height) / parts
    return [
        Region(left, top, min(left + side, width), min(top + side, height))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _starts(length: int, side: float) -> list[float]:
    """Evenly from 0 to the last tile's start."""
    if length <= side:
        return [0.0]
    count = math.ceil((length - side) / (side * _STEP) - 1e-9) + 1
    return [i * (length - side) / (count - 1) for i in range(count)]
