"""A household's graph, the same for every peer and every run: images, their segments, and the people on them.

`HOUSE` sets its size. Every value follows from the seed, so two servers that were filled separately give the same
answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["HOUSE", "SMALL", "Household"]

WORDS = (
    "sea",
    "hill",
    "garden",
    "winter",
    "harbour",
    "street",
    "night",
    "bicycle",
    "kitchen",
    "mountain",
    "boat",
    "forest",
)
SEED = 5


@dataclass(frozen=True, slots=True)
class Household:
    """The numbers of each. Ids are `i0…`, `s0…`, `p0…`."""

    images: int
    segments: int
    people: int

    @classmethod
    def of(cls, entities: int) -> Household:
        """About this many entities altogether, in the usual proportions."""
        images = max(1, entities * 2 // 7)
        return cls(images, entities - images - 500 if entities > 1_000 else images, 500 if entities > 1_000 else 10)

    @property
    def entities(self) -> int:
        return self.images + self.segments + self.people

    def person_rows(self) -> Iterator[dict[str, Any]]:
        return ({"id": f"p{number}", "name": f"Person {number}"} for number in range(self.people))

    def image_rows(self) -> Iterator[dict[str, Any]]:
        chance = random.Random(SEED)
        for number in range(self.images):
            yield {"id": f"i{number}", **image(number, chance)}

    def segment_rows(self) -> Iterator[dict[str, Any]]:
        """`image` and `person` are ids."""
        chance = random.Random(SEED + 1)
        for number in range(self.segments):
            yield {
                "id": f"s{number}", "image": f"i{chance.randrange(self.images)}", "person": f"p{chance.randrange(self.people)}",
                "x": chance.random(), "y": chance.random(), "width": chance.random(), "height": chance.random(),
                "confidence": chance.random(),
            }  # fmt: skip


def image(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "place": f"images/{number}.jpg", "mime": "image/jpeg" if number % 10 else "image/png",
        "title": f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}", "camera": f"camera {number % 9}",
        "takenAt": f"20{number % 25:02}-{1 + number % 12:02}-{1 + number % 28:02}T10:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "width": 4000, "height": 3000, "size": 3_000_000 + number,
        "latitude": round(chance.uniform(-60, 60), 6), "longitude": round(chance.uniform(-180, 180), 6),
    }  # fmt: skip


HOUSE = Household(100_000, 250_000, 500)
SMALL = Household(4_000, 10_000, 500)
