"""One file of an archive, and the rules for its name.

A name must lie inside the archive on every system: no absolute path, no `..`, no backslash, no control character,
and no other name that differs only by case or Unicode form. Both readers refuse links and special files, whatever
they point to: an app does not need them, and a link is how an archive writes outside its folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from core.apps.archive.bounds import ArchiveBounds
from pcloud.errors import Rejected

__all__ = ["Member", "MemberNames", "member_path"]

# Invisible characters, and those that reorder text: controls, surrogates, formats, ends of lines.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
JOINERS = frozenset({"\u200c", "\u200d"})  # some scripts, and pictures of people, are written with them


@dataclass(frozen=True, slots=True)
class Member:
    """`path`: relative, with `/`. `size`: bytes as the archive claims, enforced when it is read. `open`: its content, once."""

    path: str
    size: int
    executable: bool
    open: Callable[[], IO[bytes]] = field(repr=False, compare=False)


def member_path(name: str, bounds: ArchiveBounds) -> str:
    """Return the member's path without a leading `./` or a folder's trailing slash, '' for the root itself; raises `Rejected`."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise Rejected(f"the archive's member {name!r} has a name that is not UTF-8: rename the file") from error
    if length > bounds.path:
        raise Rejected(
            f"the archive's member {name[:60]!r}… has a path of {length} bytes: at most {bounds.path} are allowed"
        )
    if name.startswith("/") or "\\" in name or name[1:2] == ":":
        raise Rejected(
            f"the archive's member {name!r} has an absolute path or a backslash: pack the folder's content instead"
        )
    if any(unicodedata.category(letter) in UNSEEN and letter not in JOINERS for letter in name):
        raise Rejected(f"the archive's member {name!r} has a control character in its name: rename the file")
    parts = name.rstrip("/").split("/")
    while parts and parts[0] in (".", ""):
        parts = parts[1:]
    if any(part in ("", ".", "..") for part in parts):
        raise Rejected(f"the archive's member {name!r} leads out of the archive, or around in it: nothing was unpacked")
    if len(parts) > bounds.depth:
        raise Rejected(
            f"the archive's member {name!r} lies {len(parts)} folders deep: at most {bounds.depth} are allowed"
        )
    return "/".join(parts)


class MemberNames:
    """The names seen so far; refuses a second file that has the same name on a case-insensitive or normalizing file system."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add_file(self, path: str) -> None:
        key = _folded(path)
        if key in self._files or key in self._folders:
            other = self._files.get(key) or self._folders[key]
            raise Rejected(
                f"the archive holds both {other!r} and {path!r}, which are one name on some file systems: remove one"
            )
        self._files[key] = path
        parts = path.split("/")
        for depth in range(1, len(parts)):
            self.add_folder("/".join(parts[:depth]))

    def add_folder(self, path: str) -> None:
        key = _folded(path)
        if key in self._files or self._folders.setdefault(key, path) != path:
            other = self._files.get(key) or self._folders[key]
            raise Rejected(
                f"the archive holds both {other!r} and {path!r}, which are one name on some file systems: remove one"
            )


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
