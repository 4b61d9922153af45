"""EXIF tags as plain facts: pure functions from tag tables to values, None if a tag is missing or senseless.

Tag numbers and units: CIPA DC-008 (Exif 2.32/3.0). Never raises on a camera's nonsense: a zero denominator, a NaN, a
text instead of a number or a position off the globe count as a missing tag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["camera", "exposure", "f_number", "focal_length", "iso", "lens", "position", "text", "upright_size"]

Tags = Mapping[int, Any]

MAKE, MODEL, LENS_MODEL = 0x010F, 0x0110, 0xA434
EXPOSURE_TIME, SHUTTER_SPEED = 0x829A, 0x9201
F_NUMBER, APERTURE = 0x829D, 0x9202
ISO, SENSITIVITY_INDEX, ISO_SEE_INDEX = 0x8827, 0x8832, 0xFFFF
FOCAL_LENGTH = 0x920A
GPS_LATITUDE_REF, GPS_LATITUDE, GPS_LONGITUDE_REF, GPS_LONGITUDE = 1, 2, 3, 4

_COMPANY_WORDS = {"corporation", "corp", "corp.", "co.,ltd.", "co.,", "co.", "ltd", "ltd.", "inc", "inc.", "company",
                  "imaging", "optical", "electric", "electronics", "techwin", "computer"}  # fmt: skip
_MAKES_IN_MODELS = {"hewlett-packard": "hp", "eastman kodak company": "kodak", "research in motion": "blackberry"}
_TEXT_LIMIT = 500


def text(value: Any) -> str | None:
    """A tag's text without padding and control characters, at most 500 characters; None if nothing is left."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    cleaned = " ".join("".join(c if c.isprintable() else " " for c in value.split("\x00", 1)[0]).split())
    return cleaned[:_TEXT_LIMIT] or None


def number(value: Any) -> float | None:
    """A finite number; the first of a list, because several cameras write one ISO as a list of one."""
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    if isinstance(value, (str, bytes)) or value is None:
        return None
    try:
        result = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def _above_zero(value: Any, most: float) -> float | None:
    result = number(value)
    return result if result is not None and 0 < result <= most else None


def _power_of_two(value: Any, most: float) -> float | None:
    """The quantity behind an APEX value: 2 to that power."""
    apex = number(value)
    return _above_zero(2.0**apex, most) if apex is not None and abs(apex) < 32 else None


def camera(tags: Tags) -> str | None:
    """Make and model in one name, with the make only once: `Canon EOS 5D`, `Apple iPhone 15`, `NIKON D90`."""
    make, model = text(tags.get(MAKE)), text(tags.get(MODEL))
    if not make or not model:
        return model or _short_make(make)
    first = _MAKES_IN_MODELS.get(make.lower(), make.split()[0].lower())
    return model if model.lower().startswith(first) else f"{_short_make(make)} {model}"


def _short_make(make: str | None) -> str | None:
    """`OLYMPUS IMAGING CORP.` → `OLYMPUS`: the part before the words of a company's legal name."""
    if not make:
        return None
    words = make.split()
    kept = [word for i, word in enumerate(words) if i == 0 or word.lower() not in _COMPANY_WORDS]
    return " ".join(kept).rstrip(",.")


def lens(tags: Tags) -> str | None:
    name = text(tags.get(LENS_MODEL))
    return name if name and any(c.isalnum() for c in name) and name.strip("0. ") else None


def exposure(tags: Tags) -> str | None:
    """The exposure time as photographers write it: `1/125 s`, `0.5 s`, `30 s`."""
    seconds = _above_zero(tags.get(EXPOSURE_TIME), 86_400)
    if seconds is None and (speed := number(tags.get(SHUTTER_SPEED))) is not None:
        seconds = _power_of_two(-speed, 86_400)
    if seconds is None:
        return None
    return f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:.3g} s"


def f_number(tags: Tags) -> float | None:
    value = _above_zero(tags.get(F_NUMBER), 1000)
    if value is None and (apex := number(tags.get(APERTURE))) is not None:
        value = _power_of_two(apex / 2, 1000)
    return round(value, 1) if value else None


def iso(tags: Tags) -> int | None:
    """The sensitivity; 65535 in the old 16-bit tag refers to the newer one."""
    value = _above_zero(tags.get(ISO), 10_000_000)
    if value is None or value == ISO_SEE_INDEX:
        value = _above_zero(tags.get(SENSITIVITY_INDEX), 10_000_000)
    return round(value) if value else None


def focal_length(tags: Tags) -> float | None:
    """Millimetres, as the lens has them (not converted to 35 mm film)."""
    value = _above_zero(tags.get(FOCAL_LENGTH), 100_000)
    return round(value, 2) if value else None


def position(gps: Tags) -> tuple[float, float] | None:
    """(latitude, longitude) in signed degrees. None off the globe, and at 0°, 0°, which means a receiver without a
    fix."""
    latitude = _degrees(gps.get(GPS_LATITUDE), gps.get(GPS_LATITUDE_REF), "NS", 90)
    longitude = _degrees(gps.get(GPS_LONGITUDE), gps.get(GPS_LONGITUDE_REF), "EW", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    return latitude, longitude


def _degrees(value: Any, ref: Any, signs: str, most: int) -> float | None:
    """Degrees, minutes, seconds with N/S or E/W as signed degrees, to seven places (a centimetre)."""
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= 3:
        return None
    parts = [number(part) for part in value]
    side = (text(ref) or "")[:1].upper()
    if side not in signs or not side or any(p is None or p < 0 for p in parts):
        return None
    degrees = sum(part / 60**i for i, part in enumerate(parts) if part is not None)
    return round(-degrees if side == signs[1] else degrees, 7) + 0.0 if degrees <= most else None


def upright_size(size: tuple[int, int], orientation: Any) -> tuple[int, int]:
    """Width and height as a person sees the picture: orientations 5 to 8 lie on their side."""
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size
