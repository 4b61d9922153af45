"""The surroundings of a puppy: where it sits, and its toy."""

from __future__ import annotations

import random

from random_puppy.litter import Puppy

__all__ = ["draw_backdrop", "draw_toy"]

HEART = "M0 6 C-10 -6 -22 4 0 20 C22 4 10 -6 0 6Z"


def draw_backdrop(puppy: Puppy) -> str:
    """A disc of sky with something on it, ground, and the puppy's shadow."""
    dice = random.Random(puppy.seed + "backdrop")  # noqa: S311
    ground = '<ellipse cx="200" cy="408" rx="178" ry="27" class="ground"/>'
    shadow = '<ellipse cx="200" cy="416" rx="142" ry="13" fill="#000" opacity=".16"/>'
    sky = '<circle cx="200" cy="212" r="192" class="sky"/>'
    specks = {"meadow": _clouds, "rug": _stars, "confetti": _confetti, "hearts": _hearts}[puppy.backdrop](dice)
    return f"{sky}{specks}{ground}{shadow}"


def _around(dice: random.Random, count: int) -> list[tuple[int, int]]:
    """Places on the sky that neither the head nor the body covers."""
    spots = [(52, 120), (70, 200), (46, 268), (84, 66), (142, 42), (348, 120), (332, 200), (354, 268), (316, 66), (258, 42),
             (90, 306), (312, 306)]  # fmt: skip
    return [(x + dice.randint(-8, 8), y + dice.randint(-8, 8)) for x, y in dice.sample(spots, count)]


def _clouds(dice: random.Random) -> str:
    return "".join(
        f'<g transform="translate({x} {y})" fill="#fff" opacity=".55"><ellipse rx="26" ry="11"/><ellipse cx="-9" cy="-8" rx="13" '
        f'ry="11"/><ellipse cx="9" cy="-6" rx="11" ry="9"/></g>'
        for x, y in _around(dice, 4)
    )


def _stars(dice: random.Random) -> str:
    star = "M0 -9 L2.6 -2.6 L9 0 L2.6 2.6 L0 9 L-2.6 2.6 L-9 0 L-2.6 -2.6Z"
    return "".join(f'<path class="speck" transform="translate({x} {y}) scale({dice.uniform(0.7, 1.5):.2f})" d="{star}"/>'
                   for x, y in _around(dice, 9))  # fmt: skip


def _confetti(dice: random.Random) -> str:
    return "".join(
        f'<rect x="{x}" y="{y}" width="14" height="7" rx="3" fill="hsl({dice.randrange(360)} 75% 68%)" '
        f'transform="rotate({dice.randrange(180)} {x} {y})"/>'
        for x, y in _around(dice, 12)
    )


def _hearts(dice: random.Random) -> str:
    return "".join(f'<path class="speck" transform="translate({x} {y}) scale({dice.uniform(0.6, 1.1):.2f})" d="{HEART}"/>'
                   for x, y in _around(dice, 8))  # fmt: skip


def draw_toy(puppy: Puppy) -> str:
    """Beside the puppy, on the side opposite to its tail."""
    x = 200 - 136 * puppy.side
    hue = (puppy.hue + 70) % 360
    match puppy.toy:
        case "ball":
            return (
                f'<circle cx="{x}" cy="398" r="25" fill="hsl({hue} 75% 60%)" stroke="hsl({hue} 60% 32%)" stroke-width="3.5"/>'
                f'<path d="M{x - 22} 388 Q{x} 402 {x + 22} 388 M{x - 20} 412 Q{x} 398 {x + 20} 412" fill="none" stroke="#fff" '
                'stroke-width="4" opacity=".9"/>'
            )
        case "bone":
            knobs = "".join(f'<circle cx="{x + dx}" cy="{404 + dy}" r="11"/>' for dx in (-24, 24) for dy in (-8, 8))
            bar = f'<rect x="{x - 26}" y="396" width="52" height="16"/>'
            return (
                f'<g transform="rotate({-12 * puppy.side} {x} 404)">'
                f'<g fill="#8d7b5e" stroke="#8d7b5e" stroke-width="6">{knobs}{bar}</g>'
                f'<g fill="#fff6e0">{knobs}{bar}</g></g>'
            )
        case "duck":
            return (
                f'<g transform="translate({x} 396) scale({-puppy.side} 1)" stroke="#a87a10" stroke-width="3">'
                '<path d="M-30 2 Q-34 -14 -18 -8 Q10 -4 26 -10 Q36 6 20 20 Q-14 28 -30 2Z" fill="#ffd84d"/>'
                '<circle cx="-16" cy="-16" r="15" fill="#ffd84d"/>'
                '<path d="M-30 -18 L-42 -12 L-29 -9Z" fill="#f08a2c"/><circle cx="-20" cy="-20" r="2.4" fill="#3a2a10" stroke="none"/></g>'
            )
        case "flower":
            petals = "".join(
                f'<ellipse cy="-13" rx="8" ry="12" transform="rotate({turn})"/>' for turn in range(0, 360, 60)
            )
            return (
                f'<path d="M{x} 412 Q{x - 6} 384 {x} 362" fill="none" stroke="#4f8f46" stroke-width="5"/>'
                f'<path d="M{x - 2} 396 q18 -14 24 -2 q-10 12 -24 2Z" fill="#5fa553"/>'
                f'<g transform="translate({x} 352)" fill="hsl({hue} 80% 72%)" stroke="hsl({hue} 50% 45%)" stroke-width="2">{petals}'
                '<circle r="9" fill="#ffd84d" stroke="#a87a10"/></g>'
            )
        case _:
            return ""
