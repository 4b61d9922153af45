"""A puppy as an SVG picture: it sits, faces us, and wags its tail (unless motion is not wanted).

The picture is 400 wide and 440 high, with the middle of the head at (200, 165). Everything is drawn back to front: the
background, tail, body, legs, neck, and the head, which is tilted as a whole.
"""

from __future__ import annotations

import random

from random_puppy.head import draw_head
from random_puppy.litter import Puppy
from random_puppy.scenery import draw_backdrop, draw_toy

__all__ = ["draw"]

STYLE = """
.sky{{fill:hsl({hue} 70% 90%)}}.ground{{fill:hsl({hue} 45% 80%)}}.speck{{fill:hsl({hue} 65% 72%)}}
.tail{{transform-origin:{x}px 372px;animation:wag .55s ease-in-out infinite alternate}}
.lid{{transform-box:fill-box;transform-origin:50% 0;transform:scaleY(0);animation:blink 4.6s infinite}}
@keyframes wag{{from{{transform:rotate(-9deg)}}to{{transform:rotate(13deg)}}}}
@keyframes blink{{0%,95%,100%{{transform:scaleY(0)}}97%,98%{{transform:scaleY(1)}}}}
@media (prefers-reduced-motion:reduce){{.tail,.lid{{animation:none}}}}
@media (prefers-color-scheme:dark){{
.sky{{fill:hsl({hue} 30% 24%)}}.ground{{fill:hsl({hue} 28% 33%)}}.speck{{fill:hsl({hue} 40% 44%)}}}}
"""


def draw(puppy: Puppy) -> str:
    """A whole SVG document, which is also valid within HTML."""
    style = STYLE.format(hue=puppy.hue, x=200 + 70 * puppy.side).replace("\n", "")
    parts = (
        draw_backdrop(puppy),
        _tail(puppy),
        _body(puppy),
        _legs(puppy),
        _bib(puppy),
        _neckwear(puppy),
        draw_head(puppy),
        draw_toy(puppy),
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 440" role="img" aria-labelledby="puppy-title">'
        f'<title id="puppy-title">{puppy.description}</title><style>{style}</style>'
        f'<g stroke-linecap="round" stroke-linejoin="round">{"".join(parts)}</g></svg>'
    )


def _tail(puppy: Puppy) -> str:
    x, s, coat = 200 + 70 * puppy.side, puppy.side, puppy.coat
    curl = f"M{x} 372 C{x + 52 * s} 366 {x + 74 * s} 330 {x + 62 * s} 296"
    tip = f"M{x + 66 * s} 322 Q{x + 67 * s} 308 {x + 62 * s} 296"
    return (
        f'<g class="tail" fill="none"><path d="{curl}" stroke="{coat.line}" stroke-width="35"/>'
        f'<path d="{curl}" stroke="{coat.base}" stroke-width="28"/>'
        f'<path d="{tip}" stroke="{coat.light}" stroke-width="28"/></g>'
    )


def _body(puppy: Puppy) -> str:
    coat = puppy.coat
    shape = "M148 232 C118 280 100 330 112 384 Q118 412 200 412 Q282 412 288 384 C300 330 282 280 252 232 Z"
    return (
        f'<clipPath id="body"><path d="{shape}"/></clipPath>'
        f'<path d="{shape}" fill="{coat.base}" stroke="{coat.line}" stroke-width="4"/>'
        f'<g clip-path="url(#body)">{_body_marks(puppy)}'
        "</g>"
    )


def _body_marks(puppy: Puppy) -> str:
    """Spots, or a saddle for those with a patch; drawn from the seed, so they stay."""
    coat, dice = puppy.coat, random.Random(puppy.seed + "body")  # noqa: S311
    if puppy.marking == "patch":
        return f'<ellipse cx="{200 + 66 * puppy.side}" cy="296" rx="46" ry="58" fill="{coat.dark}"/>'
    if puppy.marking != "spots":
        return ""
    places = ((128, 286), (268, 270), (142, 338), (262, 330), (118, 372), (284, 378), (150, 250), (246, 296))
    return "".join(
        f'<ellipse cx="{x + dice.randint(-6, 6)}" cy="{y + dice.randint(-6, 6)}" rx="{dice.randint(8, 15)}" '
        f'ry="{dice.randint(7, 12)}" fill="{coat.dark}"/>'
        for x, y in places
    )


def _legs(puppy: Puppy) -> str:
    coat = puppy.coat
    outline = f'stroke="{coat.line}" stroke-width="4"'
    haunch = "".join(f'<ellipse cx="{x}" cy="376" rx="42" ry="38" fill="{coat.base}" {outline}/>' for x in (124, 276))
    hind = "".join(_paw(x, 406, 34, 17, coat.light, outline, coat.line) for x in (112, 288))
    front = "".join(
        f'<path d="M{x - 21} 300 Q{x - 23} 360 {x - 20} 400 L{x + 20} 400 Q{x + 23} 360 {x + 21} 300" '
        f'fill="{coat.base}" {outline}/>'
        f'<path d="M{x - 19} 296 H{x + 19} V306 Q{x} 318 {x - 19} 306Z" fill="{coat.base}"/>'
        f"{_paw(x, 406, 28, 18, coat.light, outline, coat.line)}"
        for x in (173, 227)
    )
    return haunch + hind + front


def _bib(puppy: Puppy) -> str:
    """Fluff on the chest, over the legs' upper ends, and the head's shadow on it."""
    fluff = "M150 240 Q200 268 250 240 Q262 292 238 318 L226 310 L217 332 L200 318 L183 332 L174 310 L162 318 Q138 292 150 240Z"
    bib = f'<path d="{fluff}" fill="{puppy.coat.light}"/>' if puppy.bib else ""
    shadow = f'<ellipse cx="200" cy="246" rx="72" ry="24" fill="{puppy.coat.line}" opacity=".22"/>'
    return f'<g clip-path="url(#body)">{bib}{shadow}</g>'


def _paw(x: float, y: float, rx: float, ry: float, fill: str, outline: str, line: str) -> str:
    toes = "".join(f"M{x + shift} {y + 4} v{ry - 7}" for shift in (-rx / 3, rx / 3))
    return (
        f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{fill}" {outline}/>'
        f'<path d="{toes}" stroke="{line}" stroke-width="3" fill="none"/>'
    )


def _neckwear(puppy: Puppy) -> str:
    hue = (puppy.hue + 150) % 360
    fill, line = f"hsl({hue} 68% 52%)", f"hsl({hue} 60% 30%)"
    band = f'<path d="M140 236 Q200 286 260 236 L264 252 Q200 306 136 252Z" fill="{fill}" stroke="{line}" stroke-width="3"/>'
    if puppy.neckwear == "bandana":
        dots = "".join(f'<circle cx="{x}" cy="{y}" r="3.5" fill="#fff" opacity=".85"/>'
                       for x, y in ((178, 278), (200, 290), (222, 278), (200, 312), (160, 264), (240, 264)))  # fmt: skip
        return (
            f'<path d="M138 240 Q200 286 262 240 Q248 286 200 336 Q152 286 138 240Z" fill="{fill}" stroke="{line}" '
            f'stroke-width="3"/>{dots}'
        )
    if puppy.neckwear == "bow":
        return (
            f'{band}<path d="M200 278 L166 262 Q158 284 168 300Z M200 278 L234 262 Q242 284 232 300Z" fill="{fill}" '
            f'stroke="{line}" stroke-width="3"/><circle cx="200" cy="279" r="9" fill="{fill}" stroke="{line}" stroke-width="3"/>'
        )
    gold = 'fill="#f6c945" stroke="#9a7412" stroke-width="3"'
    if puppy.neckwear == "bell":
        return (
            f'{band}<circle cx="200" cy="292" r="15" {gold}/><path d="M188 294 H212" stroke="#9a7412" stroke-width="3"/>'
            '<circle cx="200" cy="299" r="3" fill="#6b4f0a"/>'
        )
    letter = puppy.name[0]
    return (
        f'{band}<circle cx="200" cy="296" r="15" {gold}/><text x="200" y="302" text-anchor="middle" font-size="17" '
        f'font-weight="700" font-family="ui-rounded,system-ui,sans-serif" fill="#6b4f0a">{letter}</text>'
    )
