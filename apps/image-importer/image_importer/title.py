"""A picture's title: what a person wrote about it, else the name of its file.

In this order: XMP dc:title, IPTC object name, Windows' XPTitle, EXIF ImageDescription unless the camera wrote it, the
file's stem. A stem that a camera chose stays as it is (IMG_2041, so that it can be searched); others get blanks for `_`
and `-`.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from .exif import text

__all__ = ["title"]

_CAMERA_DESCRIPTION = re.compile(
    r"(?:(?:olympus|konica|minolta|sony|samsung|kodak|kenox|medion|maginon|digimax|exif|jpeg|digital|still|camera|picture"
    r"|photo|image|img|dsc|dcim|cimg|default|untitled|screenshot|hdr|oznor|edf|rbt|sdr|mde|ptr|btf|dav|cof|fbt|burst)"
    r"|\d+\w*|[\s_\-.,:;<>/\\])*",
    re.IGNORECASE,
)
_CAMERA_STEM = re.compile(
    r"[_ ]?(img|dsc[nf]?|dscf|pxl|mvimg|dji|gopr|gx|p|pict|cimg|sam|sany|imag|imgp|hpim|r|wp|photo|image|vid|screenshot"
    r"|scan)?[_ -]?[\d_.\-() ~a-f]*(mp|hdr|cover|edited|bokeh|pano|burst|night|portrait)?",
    re.IGNORECASE,
)


def title(*, xmp: str | None, iptc: Any, xp_title: Any, description: Any, key: str) -> str | None:
    """The best of these; `key` is the object's key, whose last part names the file."""
    written = text(xmp) or text(iptc) or _utf16(xp_title)
    if written:
        return written
    described = text(description)
    if described and not _CAMERA_DESCRIPTION.fullmatch(described):
        return described
    return _from_stem(PurePosixPath(key).stem)


def _from_stem(stem: str) -> str | None:
    if _CAMERA_STEM.fullmatch(stem):
        return text(stem)
    return text(re.sub(r"[_\-+]+", " ", stem)) or text(stem)


def _utf16(value: Any) -> str | None:
    """XPTitle is UTF-16 in a byte tag."""
    if isinstance(value, (tuple, list)):
        try:
            value = bytes(value)
        except (TypeError, ValueError):
            return None
    return text(value.decode("utf-16-le", "ignore")) if isinstance(value, bytes) else None
