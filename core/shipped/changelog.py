"""What has changed between two versions of PCloud: the entries of CHANGELOG.md, which comes along."""

from __future__ import annotations

import re
from pathlib import Path

from core.shipped.places import CHANGELOG

__all__ = ["changes_since"]

SECTION = re.compile(r"^## \[([^\]]+)\].*$", re.MULTILINE)
ENTRY = re.compile(r"^- (.+(?:\n  .+)*)", re.MULTILINE)
SENTENCE = re.compile(r".+?\.(?= |$)")


def changes_since(version: str, file: Path = CHANGELOG) -> list[str]:
    """The first sentence of each entry above the version's section, of all if it has none; [] without the file."""
    try:
        text = file.read_text()
    except OSError:
        return []
    for section in SECTION.finditer(text):
        if section[1] == version:
            text = text[: section.start()]
            break
    return [first_sentence(entry[1]) for entry in ENTRY.finditer(text)]


def first_sentence(entry: str) -> str:
    plain = " ".join(entry.replace("**", "").split())
    found = SENTENCE.match(plain)
    return (found[0] if found else plain).rstrip(".") + "."
