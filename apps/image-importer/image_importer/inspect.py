"""Reads the facts of a picture's file. Runs in the bounded process: untrusted bytes reach the decoders only here.

Every picture is decoded once, to its last byte, so that a truncated one is refused now instead of shown broken later.
JPEGs are decoded at an eighth of their size: that reads all of the file in a quarter of the time.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from PIL import ImageFile, IptcImagePlugin, UnidentifiedImageError

from pcloud.errors import Rejected
from pcloud.pictures import open_picture

from . import exif, formats
from .taken import taken_from_exif, taken_from_xmp
from .title import title
from .xmp import read_packet

__all__ = ["Facts", "inspect_file"]

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DESCRIPTION, _XP_TITLE, _XMP_TAG, _ORIENTATION = 0x010E, 0x9C9B, 0x02BC, 0x0112
_IPTC_OBJECT_NAME = (2, 5)
_UPRIGHT_BY_PILLOW = (
    "TIFF",
    "HEIF",
)  # these plugins turn the picture themselves: turning it again would lay it on its side


@dataclass(frozen=True)
class Facts:
    """The fields of `Image` that come from the file; names as in schema.graphql."""

    mime: str
    width: int
    height: int
    title: str | None = None
    takenAt: str | None = None
    takenAtZone: str | None = None
    camera: str | None = None
    lens: str | None = None
    exposure: str | None = None
    fNumber: float | None = None
    iso: int | None = None
    focalLength: float | None = None
    latitude: float | None = None
    longitude: float | None = None


def inspect_file(file: BinaryIO, key: str, most_pixels: int) -> dict[str, Any]:
    """The known facts of the file, uploaded as `key`. Raises `Rejected` if it is not an image, broken, or too large."""
    if file.seek(0, os.SEEK_END) == 0:
        raise Rejected("the file is empty")
    file.seek(0)
    warnings.simplefilter("ignore")  # Pillow warns about sloppy metadata, which is common in the files that come here
    try:
        with open_picture(file) as image:
            facts = _facts(image, key, most_pixels)
            _decode(image)
    except Rejected:
        raise
    except UnidentifiedImageError:
        raise Rejected(
            "the file is not an image (JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF), or it is broken at its start"
        ) from None
    except MemoryError:
        raise Rejected("the picture needs more memory to decode than the setting `memory` allows") from None
    except Exception as broken:  # decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error …
        raise Rejected(f"the picture is broken: {str(broken)[:200] or type(broken).__name__}") from broken
    return {name: value for name, value in asdict(facts).items() if value is not None}


def _facts(image: ImageFile.ImageFile, key: str, most_pixels: int) -> Facts:
    if image.width * image.height > most_pixels:
        size = f"{image.width} × {image.height}"
        raise Rejected(f"the picture has {size} pixels; the setting `pixels` allows {most_pixels} in all")
    mime = formats.mime_of(image)
    main, shot, gps = _tags(image)
    packet = read_packet(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or _bytes(main.get(_XMP_TAG)))
    upright = image.format in _UPRIGHT_BY_PILLOW
    width, height = image.size if upright else exif.upright_size(image.size, main.get(_ORIENTATION))
    taken = taken_from_exif(shot, gps) or taken_from_xmp(packet.date)
    place = exif.position(gps)
    return Facts(
        mime=mime,
        width=width,
        height=height,
        title=title(
            xmp=packet.title,
            iptc=_iptc(image).get(_IPTC_OBJECT_NAME),
            xp_title=main.get(_XP_TITLE),
            description=main.get(_DESCRIPTION),
            key=key,
        ),
        takenAt=taken.at if taken else None,
        takenAtZone=taken.zone if taken else None,
        camera=exif.camera(main),
        lens=exif.lens(shot),
        exposure=exif.exposure(shot),
        fNumber=exif.f_number(shot),
        iso=exif.iso(shot),
        focalLength=exif.focal_length(shot),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
    )


def _tags(image: ImageFile.ImageFile) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """Main, EXIF and GPS directory; an unreadable one is empty, since the picture may be fine without it."""
    try:
        tags = image.getexif()
    except Exception:
        return {}, {}, {}
    return (
        _directory(tags.items),
        _directory(lambda: tags.get_ifd(_EXIF_IFD).items()),
        _directory(lambda: tags.get_ifd(_GPS_IFD).items()),
    )


def _directory(items: Any) -> dict[int, Any]:
    try:
        return dict(items())
    except Exception:  # an offset beyond the file, a type that does not exist, a loop of directories …
        return {}


def _iptc(image: ImageFile.ImageFile) -> dict[Any, Any]:
    try:
        return IptcImagePlugin.getiptcinfo(image) or {}
    except Exception:
        return {}


def _bytes(value: Any) -> bytes | None:
    return bytes(value) if isinstance(value, (bytes, tuple, list)) else None


def _decode(image: ImageFile.ImageFile) -> None:
    """Read the first frame to its end."""
    if image.format in ("JPEG", "MPO"):
        image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
    image.load()
