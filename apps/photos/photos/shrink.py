"""Makes small pictures of a big one. Runs in a bounded process, since pictures come from anywhere; it touches nothing else."""

from __future__ import annotations

import io
from typing import BinaryIO

from PIL import Image, ImageOps

from pcloud.errors import Rejected
from pcloud.pictures import open_picture

__all__ = ["MOST_PIXELS", "SIZES", "shrink"]

# Longest side in pixels: of a tile in the grid (on a screen of double density), and of a picture that fills a screen.
SIZES = {"tile": 480, "screen": 2048}
QUALITY = 80
MOST_PIXELS = 200_000_000
# A display's profile has some hundred bytes; a printer's, a megabyte.
LARGEST_PROFILE = 64 * 2**10


def shrink(file: BinaryIO, sizes: dict[str, int]) -> dict[str, bytes]:
    """WebP files by name of size, upright, never larger than the original; raises Pillow's error for a file that is not
    an image."""
    longest = max(sizes.values())
    with open_picture(file) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise Rejected(
                f"it has {opened.width} × {opened.height} pixels; {MOST_PIXELS // 10**6} million are the most that is shown"
            )
        profile = _profile(opened)
        # A JPEG is decoded at about the wanted size, which is several times faster and takes a fraction of the memory.
        opened.draft("RGB", (longest, longest))
        picture = _plain(opened)
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
        # Turned after it has been made small. The tag was read with the file and stays with the picture until then.
        picture = ImageOps.exif_transpose(picture)
    made: dict[str, bytes] = {}
    for name, side in sorted(sizes.items(), key=lambda item: -item[1]):
        picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=QUALITY, method=3, icc_profile=profile, exif=b"")
        made[name] = buffer.getvalue()
    return made


def _plain(opened: Image.Image) -> Image.Image:
    """Eight bits of red, green, blue and, where something shows through, alpha."""
    if opened.mode.startswith("I;16"):
        return opened.point(lambda value: value / 256).convert("L").convert("RGB")
    if opened.mode in ("I", "F"):
        return opened.convert("L").convert("RGB")
    return opened.convert("RGBA" if opened.has_transparency_data else "RGB")


def _profile(opened: Image.Image) -> bytes:
    """The colour space of a photograph (such as Display P3), without which it would look paler; other profiles don't
    fit the result."""
    profile = opened.info.get("icc_profile") or b""
    return profile if opened.mode in ("RGB", "RGBA") and len(profile) <= LARGEST_PROFILE else b""
