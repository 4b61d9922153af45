"""A user id for one app alone, chosen once and kept in its folder; only used if core is root.

Chosen at random, so that two nodes on one machine do not collide, from a range that people, system services and
containers do not use (https://systemd.io/UIDS-GIDS, "here be dragons"). In a container with a smaller range, from
the upper part of that range.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from core.apps.tree import walk

__all__ = ["free_users", "give", "own_user"]

FAR = range(1_900_000_000, 2_100_000_000)
NEAR = range(40_000, 60_000)


def free_users(uid_map: str | None = None) -> range:
    """The ids to choose from; empty if this process can't become another user. `uid_map`: /proc/self/uid_map."""
    if uid_map is None:
        if os.geteuid() != 0:
            return range(0)
        uid_map = Path("/proc/self/uid_map").read_text()
    mapped = [
        (int(first), int(first) + int(length)) for first, _, length in (line.split() for line in uid_map.splitlines())
    ]
    for wanted in (FAR, NEAR):
        if any(first <= wanted.start and wanted.stop <= end for first, end in mapped):
            return wanted
    return range(0)


def own_user(file: Path, users: range) -> int:
    """Return the id in `file`, or choose one and write it there. 0 if `users` is empty."""
    if not users:
        return 0
    try:
        kept = int(file.read_text())
    except (OSError, ValueError):
        kept = 0
    if kept not in users:
        kept = random.choice(users)  # noqa: S311 - not a secret
        part = file.with_name(f"{file.name}.part")
        part.write_text(f"{kept}\n")
        part.replace(file)
    return kept


def give(folder: Path, user: int) -> None:
    """Make `user` the owner of a file, or of a folder and all in it; symbolic links themselves change owner, never their targets."""
    if user == 0 or folder.lstat().st_uid == user:
        return
    for step in walk(folder):
        if step.kind == "entry":
            os.chown(step.name, user, user, dir_fd=step.folder, follow_symlinks=False)
        elif step.kind == "enter" and step.name:
            os.chown(step.folder, user, user)
    # Last: if the folder itself belongs to the user, everything in it does, even after a kill.
    os.chown(folder, user, user, follow_symlinks=False)
