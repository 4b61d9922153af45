"""Opens a stranger's picture with Pillow, for functions that `pcloud.decoding` runs. Needs the packages pillow and pillow-heif.

Pillow imports the code of a format when it first meets one. In a confined process that is too late, so all of it is imported
here.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener  # pyright: ignore[reportUnknownVariableType]

__all__ = ["FORMATS", "open_picture"]

# None of Pillow's many others is ever tried on a stranger's bytes. HEIC is in HEIF.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")
LOADED = (
    AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, PpmImagePlugin,
    TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip


def open_picture(file: BinaryIO) -> ImageFile.ImageFile:
    """Read a picture's head; look at its `width` and `height` before `load`, which decodes it. Raises Pillow's errors.

    Pillow's own limit of pixels is switched off: it only warns of a picture up to twice as large.
    """
    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None
    return Image.open(file, formats=FORMATS)
