"""Every seed has one puppy, and every puppy can be drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_puppy.drawing import draw
from random_puppy.litter import BACKDROPS, COATS, EARS, MARKINGS, NECKWEAR, TOYS, born, new_seed
from random_puppy.page import page
from random_puppy.server import SEED

seeds = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@given(seeds)
def test_a_seed_is_always_the_same_puppy(seed: str) -> None:
    assert born(seed) == born(seed)
    assert draw(born(seed)) == draw(born(seed))


@given(seeds)
def test_every_puppy_is_a_whole_picture_with_a_text(seed: str) -> None:
    puppy = born(seed)
    root = ElementTree.fromstring(draw(puppy))
    names = [element.get("id") for element in root.iter() if element.get("id")]
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert len(names) == len(set(names))
    assert title is not None
    assert title.text == puppy.description
    assert root.get("aria-labelledby") == title.get("id")


def test_the_litter_is_as_mixed_as_it_can_be() -> None:
    litter = [born(f"puppy-{number}") for number in range(400)]
    assert len({draw(puppy) for puppy in litter}) == 400
    kinds = {"coat": COATS, "ears": EARS, "marking": MARKINGS, "neckwear": NECKWEAR, "toy": TOYS, "backdrop": BACKDROPS}
    for kind, all_of_it in kinds.items():
        assert {getattr(puppy, kind) for puppy in litter} == set(all_of_it)


def test_a_new_seed_is_new_and_an_address() -> None:
    drawn = {new_seed() for _ in range(100)}
    assert len(drawn) > 90
    assert all(SEED.fullmatch(f"/p/{seed}") for seed in drawn)


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(
    "pair", [("ink", "paper"), ("soft", "paper"), ("soft", "card"), ("accent", "paper"), ("on-accent", "accent")]
)
def test_text_can_be_read_in_both_themes(theme: int, pair: tuple[str, str]) -> None:
    themes = re.findall(r":root\{([^}]*)\}", page(born("a")))
    colours = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", themes[theme]))
    high, low = sorted((luminance(colours[name]) for name in pair), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5
