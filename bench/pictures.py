"""Photographs for measurements: the freely usable ones of the demo, cut and scaled into as many different files as
needed."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

from PIL import Image

__all__ = ["photographs"]

SOURCES = Path(__file__).parent.parent / ".setup" / "photos"
MEGAPIXELS_2 = (1632, 1224)


def photographs(count: int, *, seed: int, size: tuple[int, int] = MEGAPIXELS_2) -> list[tuple[str, bytes]]:
    """`count` different JPEGs of `size` pixels, each with a title of its own; the same for the same seed."""
    randomness = random.Random(seed)
    sources = [Image.open(path).convert("RGB") for path in sorted(SOURCES.glob("*.jpg"))]
    made: list[tuple[str, bytes]] = []
    for number in range(count):
        source = sources[number % len(sources)]
        left, top = randomness.randint(0, source.width // 10), randomness.randint(0, source.height // 10)
        picture = source.crop((left, top, source.width - left, source.height - top)).resize(
            size, Image.Resampling.BICUBIC
        )
        # The titles are not similar: a search forgives a typing error and must not find an earlier picture.
        title = f"measured {hashlib.sha256(f'{seed} {number}'.encode()).hexdigest()[:12]}"
        exif = Image.Exif()
        exif[0x010E] = title
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90, exif=exif)
        made.append((title, buffer.getvalue()))
    return made
