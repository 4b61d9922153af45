"""Names of files for whatever a key or a title holds: Linux, Windows, macOS, exFAT and a shell take each of them. Pure."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

__all__ = ["collision_key", "marked", "safe_part"]

LONGEST = 160  # bytes; a date, a mark and `.xmp` fit into the remaining 95 of a name
LONGEST_SUFFIX = 16
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
FORBIDDEN = frozenset('<>:"/\\|?*')
DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}


def safe_part(text: str) -> str:
    """Return one part of a path: never empty, hidden, `.` or `..`, of at most 160 bytes; its suffix stays."""
    kept = "".join(
        letter if letter.isprintable() and letter not in FORBIDDEN else "_"
        for letter in unicodedata.normalize("NFC", text)
    )
    kept = _shortened(kept.strip(" ")).rstrip(" .")
    if kept.startswith("."):
        kept = f"_{kept[1:]}"
    if kept.partition(".")[0].rstrip(" ").casefold() in DEVICES:
        kept = f"_{kept}"
    return kept or "_"


def _shortened(text: str) -> str:
    suffix = PurePosixPath(text).suffix
    if len(suffix.encode()) > LONGEST_SUFFIX:
        suffix = ""
    stem = text.removesuffix(suffix).encode()[: LONGEST - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def marked(path: str, mark: str) -> str:
    """Return `path` with a mark before its suffix: `a/cat.jpg` → `a/cat (mark).jpg`."""
    one = PurePosixPath(path)
    return str(one.with_name(f"{one.stem} ({mark}){one.suffix}"))


def collision_key(path: str) -> str:
    """Return the same for two paths that some file system takes for one: case and Unicode's forms do not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
