"""Checks an app's `requirements.lock`: it may hold pinned wheels with hashes and nothing else.

The lock is passed to `uv pip sync --require-hashes --no-build`. Everything else that such a file can contain is
refused: options (another index, an editable folder), and addresses and paths.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from pcloud.errors import Rejected

__all__ = ["check_lock", "keep_only", "leave_out"]

# name[extra]==version ; marker \  followed by its hashes
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._ -]+\])?==[A-Za-z0-9.!+_-]+\s*(;[^\\]*)?\\?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\s*\\?")
_MADE_BY = "make it with `uv pip compile --universal --generate-hashes`"


def check_lock(text: str, file: str) -> None:
    """Raises `Rejected` with the line that is not a pinned requirement or its hash; an empty lock is accepted."""
    waiting = 0  # the line of a requirement that has no hash yet
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if _HASH.fullmatch(line):
            waiting = 0
        elif not _PINNED.fullmatch(line):
            raise Rejected(
                f"{file}:{number}: {line[:80]!r} is not a pinned requirement (name==version with hashes): {_MADE_BY}"
            )
        elif waiting:
            break
        else:
            waiting = number
    if waiting:
        raise Rejected(f"{file}:{waiting}: this requirement has no hash: {_MADE_BY}")


def leave_out(text: str, names: Collection[str]) -> str:
    """Return a checked lock without the packages in `names` and without comments; '' if nothing is left."""
    return "".join(f"{line}\n" for name, line in _lines(text) if name not in names)


def keep_only(text: str, names: Collection[str]) -> str:
    """Return a checked lock with only the packages in `names`, without comments."""
    return "".join(f"{line}\n" for name, line in _lines(text) if name in names)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line of a checked lock with the package that it belongs to."""
    name = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.lstrip().startswith("--hash"):
            name = _normalized(re.split(r"[\[=]", line.strip(), maxsplit=1)[0])
        yield name, line


def _normalized(name: str) -> str:
    """Normalize a package name as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
