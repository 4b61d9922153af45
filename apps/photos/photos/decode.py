"""Makes small pictures of a big one. Runs in a bounded subprocess, since pictures come from anywhere; it touches nothing else."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps

__all__ = ["SIZES", "shrink"]

# Longest side in pixels: of a tile in the grid (on a screen of double density), and of the picture that fills a screen.
SIZES = {"tile": 480, "screen": 2048}
QUALITY = 80
MOST_PIXELS = 200_000_000


def shrink(path: str, sizes: dict[str, int]) -> dict[str, bytes]:
    """WebP files by name of size, upright, never larger than the original; raises whatever Pillow raises for what is no picture."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    longest = max(sizes.values())
    with Image.open(Path(path)) as opened:
        # A JPEG is decoded at about the size that is wanted, which is several times faster and takes a fraction of the memory.
        opened.draft("RGB", (longest, longest))
        picture = ImageOps.exif_transpose(opened)
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    made: dict[str, bytes] = {}
    for name, side in sorted(sizes.items(), key=lambda item: -item[1]):
        picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=QUALITY, method=3)
        made[name] = buffer.getvalue()
    return made
