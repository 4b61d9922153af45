"""An untrusted file as an upright RGB picture of a working size. Only the bounded process does this.

JPEGs are decoded at a half, a quarter or an eighth if that is enough (12 megapixels in 46 ms instead of 209).
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image, ImageOps

from pcloud.errors import Rejected
from pcloud.pictures import open_picture

__all__ = ["WORKING_SIDE", "upright"]

WORKING_SIDE = 1280  # long side: tiles of a quarter are still larger than the networks' input


def upright(file: BinaryIO, most_pixels: int) -> Image.Image:
    """Raises `Rejected` if the file is not an image, is broken, or has more than `most_pixels`."""
    try:
        with open_picture(file) as image:
            if image.width * image.height > most_pixels:
                raise Rejected(
                    f"the picture has {image.width} × {image.height} pixels; the setting `pixels` is {most_pixels}"
                )
            image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BILINEAR)
            # The plugins for TIFF and HEIC turn pictures upright and remove the tag, so nothing is turned twice.
            return _rgb(ImageOps.exif_transpose(image))
    except Rejected:
        raise
    except MemoryError:
        raise Rejected("the picture needs more memory to decode than the setting `memory` allows") from None
    except Exception as broken:  # decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error …
        raise Rejected(f"the picture cannot be decoded: {str(broken)[:200] or type(broken).__name__}") from broken


def _rgb(image: Image.Image) -> Image.Image:
    """Transparent parts become white; 16 bits of grey become 8."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    ground.alpha_composite(layer)
    return ground.convert("RGB")
