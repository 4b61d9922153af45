"""Describes a browser in words. Only words of this file are returned, so text that a stranger sends can't reach the
log.

Browsers reveal less and less: an iPad says that it is a Mac, and every Windows is just Windows. It is a reminder for
the owner, and proves nothing.
"""

from __future__ import annotations

import re

__all__ = ["described"]

LONGEST = 1000
UNKNOWN = ("A program", "unknown device")
# The first match wins: browsers also name others that they resemble.
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Vivaldi/", "Vivaldi"), ("DuckDuckGo/", "DuckDuckGo"),
    ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("HeadlessChrome/", "Chrome"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
DEVICES = (
    (r"iPhone|iPod", "iPhone"), (r"iPad", "iPad"), (r"Android.*Mobile|Mobile.*Android", "Android phone"), (r"Android", "Android tablet"),
    (r"Windows", "Windows computer"), (r"CrOS", "Chromebook"), (r"Macintosh|Mac OS X", "Mac"), (r"Linux|X11|BSD", "Linux computer"),
)  # fmt: skip


def described(agent: str) -> tuple[str, str]:
    """Return the browser and the device of a `User-Agent`: `("Firefox", "Android phone")`."""
    agent = agent[:LONGEST]
    browser = next((name for mark, name in BROWSERS if mark in agent), UNKNOWN[0])
    device = next((name for pattern, name in DEVICES if re.search(pattern, agent)), UNKNOWN[1])
    return browser, device
