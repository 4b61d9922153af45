"""The puppies: one for each seed, and always the same one for the same seed.

This module decides only what a puppy is like; other modules draw it.
"""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass

__all__ = ["COATS", "EARS", "MARKINGS", "Coat", "Puppy", "born", "new_seed"]


@dataclass(frozen=True, slots=True)
class Coat:
    """Fur: `base`, `light` (muzzle, chest, paws), `dark` (ears, markings), `line` (outlines)."""

    name: str
    base: str
    light: str
    dark: str
    line: str


COATS = (
    Coat("caramel", "#d99a5b", "#fbe9d0", "#a8642f", "#6e3d1a"),
    Coat("golden", "#eebb6a", "#fff3da", "#c98a36", "#7d4f1a"),
    Coat("chocolate", "#8a5a3c", "#e3bd96", "#5d3823", "#3a2013"),
    Coat("midnight", "#4a4650", "#d8a878", "#302d36", "#1c1a20"),
    Coat("snow", "#fbf7f0", "#ffffff", "#c9a27c", "#85705d"),
    Coat("silver", "#a9b2bd", "#f2f5f8", "#6d7783", "#3f4750"),
    Coat("ginger", "#e2814a", "#fff0e0", "#b65a28", "#703112"),
    Coat("biscuit", "#e6cda6", "#fffaf0", "#b98f5c", "#74562f"),
    Coat("fox red", "#c1623a", "#fbdcc2", "#8d3f20", "#572410"),
)
EARS = ("floppy", "folded", "pointed", "long", "tipped")
MARKINGS = ("plain", "mask", "blaze", "patch", "spots", "brows")
NECKWEAR = ("collar", "bandana", "bow", "bell")
TOYS = ("ball", "bone", "duck", "flower", "none")
BACKDROPS = ("meadow", "rug", "confetti", "hearts")
EYES = ("#5b3417", "#3b2412", "#7a4a1c", "#2f2a2a", "#4c86b8")
HUES = (8, 30, 48, 95, 150, 185, 210, 255, 300, 335)

NAMES = (
    "Biscuit", "Waffles", "Pickle", "Mochi", "Noodle", "Pepper", "Juniper", "Truffle", "Maple", "Otto", "Pumpkin", "Olive",
    "Dumpling", "Figgy", "Clementine", "Boba", "Tofu", "Sprout", "Huckleberry", "Pretzel", "Miso", "Rosie", "Bramble",
    "Nugget", "Peaches", "Button", "Marzipan", "Toast", "Hazel", "Bean", "Churro", "Fennel", "Gnocchi", "Poppy", "Basil",
    "Strudel", "Winnie", "Sesame", "Dot", "Rhubarb",
)  # fmt: skip
SIZES = ("Lesser", "Greater", "Miniature", "Royal", "Common", "Alpine", "Coastal", "Northern", "Old English", "Pocket")
HABITATS = (
    "Sofa",
    "Puddle",
    "Crumb",
    "Thunder",
    "Button",
    "Meadow",
    "Doorstep",
    "Blanket",
    "Biscuit",
    "Moonlight",
    "Slipper",
)
KINDS = ("Terrier", "Hound", "Spaniel", "Retriever", "Shepherd", "Corgi", "Setter", "Pointer", "Mastiff", "Poodle")
LIKES = (
    "stolen socks", "the sound of the fridge", "rolling down hills", "hearing a secret", "the neighbour’s cat",
    "puddles of any size", "one particular stick", "naps in the sun", "chasing its own tail", "belly rubs after lunch",
    "bicycles, from afar", "the postman’s shoes",
)  # fmt: skip
FEARS = (
    "the vacuum cleaner", "balloons", "stairs, but only downwards", "the dog in the mirror", "umbrellas", "bath time",
    "cucumbers", "its own sneeze", "the word ‘vet’", "wind",
)  # fmt: skip
MOODS = (
    "brave",
    "sleepy",
    "merry",
    "bouncy",
    "gentle",
    "curious",
    "fluffy",
    "sunny",
    "wobbly",
    "snug",
    "zippy",
    "mellow",
)
FRUITS = ("mango", "plum", "cherry", "peach", "lemon", "fig", "melon", "kiwi", "berry", "quince", "apple", "papaya")


@dataclass(frozen=True, slots=True)
class Puppy:
    """Lengths are in the drawing's own unit; `tilt` is in degrees."""

    seed: str
    name: str
    breed: str
    weeks: int
    likes: str
    fears: str
    coat: Coat
    ears: str
    marking: str
    neckwear: str
    toy: str
    backdrop: str
    eyes: tuple[str, str]
    hue: int
    tilt: float
    cheeks: float
    muzzle: float
    eye_gap: float
    eye_size: float
    tongue: bool
    bib: bool
    wink: bool
    side: int

    @property
    def description(self) -> str:
        """A text for people who can't see the picture."""
        marks = {"plain": "", "mask": " with a dark mask", "blaze": " with a white blaze", "patch": " with a patch over one eye",
                 "spots": " with spots", "brows": " with bright eyebrows"}[self.marking]  # fmt: skip
        mouth = ", its tongue out" if self.tongue else ""
        return f"A sitting {self.coat.name} puppy{marks}, {self.ears} ears and a {self.neckwear}{mouth}"


def new_seed() -> str:
    """A new random seed that is easy to say aloud: `brave-mango-4821`."""
    return f"{secrets.choice(MOODS)}-{secrets.choice(FRUITS)}-{secrets.randbelow(9000) + 1000}"


def born(seed: str) -> Puppy:
    """The puppy of a seed."""
    dice = random.Random(seed)  # noqa: S311 - the same puppy for the same seed is the point
    eye = dice.choice(EYES)
    odd = dice.random() < 0.12
    return Puppy(
        seed=seed,
        name=dice.choice(NAMES),
        breed=f"{dice.choice(SIZES)} {dice.choice(HABITATS)} {dice.choice(KINDS)}",
        weeks=dice.randint(7, 20),
        likes=dice.choice(LIKES),
        fears=dice.choice(FEARS),
        coat=dice.choice(COATS),
        ears=dice.choice(EARS),
        marking=dice.choice(MARKINGS),
        neckwear=dice.choice(NECKWEAR),
        toy=dice.choice(TOYS),
        backdrop=dice.choice(BACKDROPS),
        eyes=(eye, "#4c86b8" if odd else eye),
        hue=dice.choice(HUES),
        tilt=round(dice.uniform(-9, 9), 1),
        cheeks=round(dice.uniform(98, 114), 1),
        muzzle=round(dice.uniform(44, 54), 1),
        eye_gap=round(dice.uniform(42, 50), 1),
        eye_size=round(dice.uniform(15, 19), 1),
        tongue=dice.random() < 0.55,
        bib=dice.random() < 0.6,
        wink=dice.random() < 0.1,
        side=dice.choice((-1, 1)),
    )
