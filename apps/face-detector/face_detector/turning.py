"""A second attempt for a picture without a face: it may lie on its side or be upside down.

The networks know only upright faces (at 90°, they find a quarter), and scans and old phones write no orientation tag.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from .geometry import turned_back

__all__ = ["any_way_up"]


def any_way_up(picture: Image.Image, look: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """What `look` finds in the picture, else in the picture turned by 90°, 270° or 180°, as rows of the original
    picture."""
    rows = look(picture)
    for quarters in (1, 3, 2):
        if len(rows):
            break
        turned = picture.rotate(90 * quarters, expand=True)
        rows = turned_back(look(turned), quarters, picture.size)
    return rows
