"""Shared by these tests: the app on the import path, and small pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

UPRIGHT = (48, 32)
# How a picture that a person sees as UPRIGHT is stored in the file under each EXIF orientation.
TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """`picture("JPEG", orientation=6, exif=…)`: 48 × 32 pixels as a person sees it; its name reveals nothing."""
    import pillow_heif

    pillow_heif.register_heif_opener()

    def make(format: str, orientation: int | None = None, exif: Image.Exif | None = None, **options: object) -> Path:
        image = Image.linear_gradient("L").resize(UPRIGHT).convert("RGB")
        tags = exif or Image.Exif()
        if orientation is not None:
            tags[0x0112] = orientation
            if (turn := TO_STORED[orientation]) is not None:
                image = image.transpose(turn)
        path = tmp_path / f"object-{format}-{orientation}"
        image.save(path, format=format, exif=tags.tobytes(), **options)
        return path

    return make
