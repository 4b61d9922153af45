"""A puppy's head: ears, fur and its markings, muzzle, eyes."""

from __future__ import annotations

import random

from random_puppy.litter import Coat, Puppy

__all__ = ["draw_head"]

X, Y = 200, 165  # the middle of the head
SKIN = "#f0a9a0"


def draw_head(puppy: Puppy) -> str:
    """Turned as a whole around the neck. Standing ears are behind the head, hanging ears in front of it."""
    behind = puppy.ears in ("pointed", "tipped")
    ears = _ears(puppy)
    return (
        f'<g transform="rotate({puppy.tilt} 200 245)">{ears if behind else ""}{_skull(puppy)}{_muzzle(puppy)}'
        f"{_eyes(puppy)}{'' if behind else ears}</g>"
    )


def _skull(puppy: Puppy) -> str:
    w, coat = puppy.cheeks, puppy.coat
    shape = (
        f"M{X} 72 C{X + 62} 70 {X + w - 8} 112 {X + w} 172 C{X + w + 4} 226 {X + 58} 254 {X} 254 "
        f"C{X - 58} 254 {X - w - 4} 226 {X - w} 172 C{X - w + 8} 112 {X - 62} 70 {X} 72Z"
    )
    tuft = f"M{X - 14} 74 Q{X - 10} 56 {X - 2} 66 Q{X + 4} 50 {X + 8} 66 Q{X + 18} 58 {X + 16} 75"
    return (
        f'<clipPath id="skull"><path d="{shape}"/></clipPath>'
        f'<path d="{tuft}" fill="{coat.base}" stroke="{coat.line}" stroke-width="4"/>'
        f'<path d="{shape}" fill="{coat.base}" stroke="{coat.line}" stroke-width="4"/>'
        f'<path d="M{X - 13} 78 Q{X} 68 {X + 15} 79 L{X + 8} 92 H{X - 8}Z" fill="{coat.base}"/>'
        f'<g clip-path="url(#skull)">{_marking(puppy)}</g>'
    )


def _marking(puppy: Puppy) -> str:
    coat, s = puppy.coat, puppy.side
    match puppy.marking:
        case "mask":
            return (
                f'<path d="M{X} 60 L{X + 130} 60 V190 Q{X + 84} 206 {X + 66} 182 Q{X + 34} 120 {X} 146 '
                f'Q{X - 34} 120 {X - 66} 182 Q{X - 84} 206 {X - 130} 190 V60Z" fill="{coat.dark}"/>'
            )
        case "blaze":
            shape = f"M{X - 9} 60 H{X + 9} Q{X + 14} 130 {X + 42} 186 H{X - 42} Q{X - 14} 130 {X - 9} 60Z"
            return f'<path d="{shape}" fill="{coat.light}"/>'
        case "patch":
            x = X + s * puppy.eye_gap * 1.12
            turn = f"rotate({s * 14} {X} 150)"
            return f'<ellipse cx="{x}" cy="146" rx="40" ry="45" transform="{turn}" fill="{coat.dark}"/>'
        case "spots":
            return _spots(puppy)
        case _:
            return ""


def _spots(puppy: Puppy) -> str:
    dice = random.Random(puppy.seed + "head")  # noqa: S311
    places = ((-66, -52), (58, -62), (-92, 6), (92, -8), (8, -74), (-88, 52), (86, 56), (-24, -54))
    return "".join(
        f'<ellipse cx="{X + x + dice.randint(-6, 6)}" cy="{Y + y + dice.randint(-6, 6)}" rx="{dice.randint(6, 13)}" '
        f'ry="{dice.randint(6, 10)}" fill="{puppy.coat.dark}"/>'
        for x, y in places
    )


def _ears(puppy: Puppy) -> str:
    """Both: the right one, and its mirror image."""
    shape = {"floppy": _floppy, "long": _long, "folded": _folded, "pointed": _pointed, "tipped": _tipped}[puppy.ears]
    outline = f'stroke="{puppy.coat.line}" stroke-width="4"'
    ear = shape(X + 48, X + puppy.cheeks, puppy.coat, outline)
    return f'{ear}<g transform="matrix(-1 0 0 1 {2 * X} 0)">{ear}</g>'


# An ear begins at `top`, where it grows out of the head, and reaches to `side`, the head's edge.


def _floppy(top: float, side: float, coat: Coat, outline: str) -> str:
    shape = (
        f"M{top - 8} 84 Q{side + 6} 66 {side + 26} 118 Q{side + 42} 178 {side + 10} 208 "
        f"Q{side - 18} 214 {side - 20} 168 Q{side - 26} 112 {top - 8} 84Z"
    )
    return f'<path d="{shape}" fill="{coat.dark}" {outline}/>'


def _long(top: float, side: float, coat: Coat, outline: str) -> str:
    shape = (
        f"M{top + 2} 92 Q{side + 10} 78 {side + 24} 136 Q{side + 44} 226 {side + 16} 266 "
        f"Q{side - 18} 280 {side - 24} 226 Q{side - 14} 140 {top + 2} 92Z"
    )
    return f'<path d="{shape}" fill="{coat.dark}" {outline}/>'


def _folded(top: float, side: float, coat: Coat, outline: str) -> str:
    shape = (
        f"M{top - 10} 80 Q{top + 18} 34 {side + 6} 46 Q{side + 34} 66 {side + 26} 116 "
        f"Q{side + 18} 138 {side - 6} 122 Q{side - 26} 96 {top - 10} 80Z"
    )
    crease = f"M{top + 2} 74 Q{side - 16} 62 {side + 8} 50"
    return f'<path d="{shape}" fill="{coat.dark}" {outline}/><path d="{crease}" fill="none" {outline} opacity=".5"/>'


def _pointed(top: float, side: float, coat: Coat, outline: str) -> str:
    shape = f"M{top - 36} 92 Q{top + 8} 6 {side - 8} 14 Q{side + 16} 60 {side - 6} 146Z"
    inside = f"M{top - 6} 92 Q{top + 20} 38 {side - 13} 36 Q{side} 70 {side - 15} 122Z"
    return f'<path d="{shape}" fill="{coat.base}" {outline}/><path d="{inside}" fill="{SKIN}"/>'


def _tipped(top: float, side: float, coat: Coat, outline: str) -> str:
    shape = f"M{top - 36} 96 Q{top - 4} 34 {side - 26} 32 Q{side + 12} 44 {side - 4} 142Z"
    inside = f"M{top - 6} 96 Q{top + 10} 58 {side - 26} 52 Q{side - 2} 70 {side - 14} 122Z"
    tip = f"M{top - 6} 50 Q{side - 28} 14 {side + 2} 34 Q{side + 26} 66 {side + 14} 92 Q{side - 18} 80 {top - 6} 50Z"
    return (
        f'<path d="{shape}" fill="{coat.base}" {outline}/><path d="{inside}" fill="{SKIN}"/>'
        f'<path d="{tip}" fill="{coat.dark}" {outline}/>'
    )


def _muzzle(puppy: Puppy) -> str:
    m, coat = puppy.muzzle, puppy.coat
    nose = "#3a2a2c" if coat.name != "chocolate" else "#4a2a20"
    tongue = (
        f'<path d="M{X - 15} 222 V238 Q{X - 13} 256 {X} 256 Q{X + 13} 256 {X + 15} 238 V222Z" fill="#ee7f8d" stroke="#a8404f" '
        f'stroke-width="3"/><path d="M{X} 226 V242" stroke="#a8404f" stroke-width="2.5"/>'
        if puppy.tongue
        else ""
    )
    freckles = "".join(
        f'<circle cx="{X + side * (m * 0.52 + dx)}" cy="{y}" r="2.1" fill="{coat.line}" opacity=".55"/>'
        for side in (-1, 1)
        for dx, y in ((0, 206), (8, 213), (-6, 214))
    )
    return (
        f"{tongue}"
        f'<path d="M{X} 176 C{X + m * 0.7} 170 {X + m + 8} 190 {X + m} 212 C{X + m - 8} 234 {X + 14} 236 {X} 224 '
        f'C{X - 14} 236 {X - m + 8} 234 {X - m} 212 C{X - m - 8} 190 {X - m * 0.7} 170 {X} 176Z" fill="{coat.light}"/>'
        f'<path d="M{X} 198 V214 M{X - 30} 217 Q{X - 14} 234 {X} 215 Q{X + 14} 234 {X + 30} 217" fill="none" '
        f'stroke="{coat.line}" stroke-width="4"/>'
        f'<path d="M{X - 21} 184 Q{X - 20} 172 {X} 172 Q{X + 20} 172 {X + 21} 184 Q{X + 18} 198 {X} 201 Q{X - 18} 198 {X - 21} 184Z" '
        f'fill="{nose}"/><ellipse cx="{X - 7}" cy="179" rx="6.5" ry="3.4" fill="#fff" opacity=".55"/>{freckles}'
        f'<ellipse cx="{X - puppy.cheeks + 30}" cy="204" rx="15" ry="9" fill="#f2796b" opacity=".28"/>'
        f'<ellipse cx="{X + puppy.cheeks - 30}" cy="204" rx="15" ry="9" fill="#f2796b" opacity=".28"/>'
    )


def _eyes(puppy: Puppy) -> str:
    return "".join(_eye(puppy, side, colour) for side, colour in zip((-1, 1), puppy.eyes, strict=True)) + _brows(puppy)


def _eye(puppy: Puppy, side: int, colour: str) -> str:
    x, y, r, coat = X + side * puppy.eye_gap, 154, puppy.eye_size, puppy.coat
    if puppy.wink and side == puppy.side:
        return f'<path d="M{x - r} {y + 2} Q{x} {y - 12} {x + r} {y + 2}" fill="none" stroke="{coat.line}" stroke-width="5"/>'
    behind = _fur_at(puppy, side)
    return (
        f'<circle cx="{x}" cy="{y}" r="{r + 2.5}" fill="#1d1416"/><circle cx="{x}" cy="{y + 1}" r="{r - 1}" fill="{colour}"/>'
        f'<circle cx="{x}" cy="{y}" r="{r * 0.66:.1f}" fill="#140d0f"/>'
        f'<circle cx="{x - r * 0.34:.1f}" cy="{y - r * 0.4:.1f}" r="{r * 0.34:.1f}" fill="#fff"/>'
        f'<circle cx="{x + r * 0.36:.1f}" cy="{y + r * 0.42:.1f}" r="{r * 0.16:.1f}" fill="#fff" opacity=".8"/>'
        f'<rect class="lid" x="{x - r - 3}" y="{y - r - 3}" width="{2 * r + 6}" height="{2 * r + 6}" rx="{r + 3}" fill="{behind}"/>'
    )


def _fur_at(puppy: Puppy, side: int) -> str:
    """The colour of an eyelid."""
    dark = puppy.marking == "mask" or (puppy.marking == "patch" and side == puppy.side)
    return puppy.coat.dark if dark else puppy.coat.base


def _brows(puppy: Puppy) -> str:
    y = 154 - puppy.eye_size - 15
    if puppy.marking in ("brows", "mask"):
        return "".join(f'<ellipse cx="{X + s * (puppy.eye_gap - 2)}" cy="{y}" rx="12" ry="8" fill="{puppy.coat.light}" '
                       f'transform="rotate({s * 18} {X + s * puppy.eye_gap} {y})"/>' for s in (-1, 1))  # fmt: skip
    return "".join(
        f'<path d="M{X + s * (puppy.eye_gap - 11)} {y} q{s * 11} -8 {s * 22} 1" fill="none" stroke="{puppy.coat.line}" '
        f'stroke-width="3.5" opacity=".55"/>'
        for s in (-1, 1)
    )
