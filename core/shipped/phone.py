"""Makes photographs as a phone would have taken them: writes time, place, camera and title into copies of pictures.

Run by an interpreter that has Pillow, which PCloud itself does without: `python phone.py SOURCES TARGET < ORDERS`. The
orders are JSON, a list of `Photo`s.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational


def main() -> None:
    sources, target = map(Path, sys.argv[1:])
    for order in json.load(sys.stdin):
        with Image.open(sources / order["source"]) as image:
            take(image, order, target / order["name"])


def take(image: Image.Image, order: dict[str, Any], target: Path) -> None:
    exif = camera_data(order)
    image = image.convert("RGB")
    if order["turned"]:
        exif[ExifTags.Base.Orientation] = 6
        # A different crop, so that its bytes and its faces are its own.
        image = image.crop((60, 0, 420, 480)).transpose(Image.Transpose.ROTATE_90)
    image.save(target, quality=92, exif=exif)


def camera_data(order: dict[str, Any]) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = order["camera"]
    exif[ExifTags.Base.ImageDescription] = order["title"]
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = order["taken"]
    details[ExifTags.Base.OffsetTimeOriginal] = order["zone"]
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 125)
    details[ExifTags.Base.FNumber] = IFDRational(18, 10)
    details[ExifTags.Base.ISOSpeedRatings] = 100
    latitude, longitude = order["place"]
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N" if latitude >= 0 else "S", angle(latitude)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E" if longitude >= 0 else "W", angle(longitude)
    return exif


def angle(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes, seconds."""
    degrees = abs(degrees)
    minutes = (degrees % 1) * 60
    return (float(int(degrees)), float(int(minutes)), round((minutes % 1) * 60, 3))


if __name__ == "__main__":
    main()
