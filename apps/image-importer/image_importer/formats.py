"""The formats that count as pictures here, recognised by a file's content and never by its name.

Camera raw files are refused: inside they are TIFFs whose first picture is a small preview, and importing that would
show the owner a photo of the wrong size.
"""

from __future__ import annotations

from PIL import ImageFile

from pcloud.errors import Rejected

__all__ = ["MIME_TYPES", "mime_of"]

MIME_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with further pictures after it (depth map, second eye)
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "HEIF": "image/heic",
    "AVIF": "image/avif",
}
_NEW_SUBFILE_TYPE, _REDUCED_RESOLUTION, _DNG_VERSION = 254, 1, 50706


def mime_of(image: ImageFile.ImageFile) -> str:
    """The MIME type of an opened picture. Raises `Rejected` for a camera raw file."""
    kind = image.format or ""
    if kind == "TIFF" and _is_raw(image):
        raise Rejected("the file is a camera raw file; upload the JPEG or HEIC that belongs to it")
    if kind == "HEIF":
        return image.get_format_mimetype() or MIME_TYPES[kind]
    return MIME_TYPES[kind]


def _is_raw(image: ImageFile.ImageFile) -> bool:
    """DNG, NEF, ARW and their like put a reduced preview, or DNG's version, into the first directory."""
    tags = image.getexif()
    return _DNG_VERSION in tags or tags.get(_NEW_SUBFILE_TYPE) == _REDUCED_RESOLUTION
