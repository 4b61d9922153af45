"""What this machine can do to keep apps apart; found out once, at a node's start, by trying."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from dataclasses import dataclass, field

from core.sandbox.cgroup import Cgroups, find_cgroups
from core.sandbox.command import namespaces
from core.sandbox.user import free_users

__all__ = ["Machine", "probe"]

log = logging.getLogger("pcloud.sandbox")
TRIAL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Machine:
    """`bubblewrap`: the program, '' where it is not there or does not work; `why_not` says why. `users`: ids of which apps get one each,
    empty unless core is root. `cgroups`: where the kernel counts for us."""

    bubblewrap: str = ""
    users: range = field(default=range(0))
    cgroups: Cgroups | None = None
    why_not: str = "bubblewrap was not looked for"

    @property
    def confines(self) -> bool:
        """Apps get a sandbox at all."""
        return bool(self.bubblewrap)

    @property
    def confines_strangers(self) -> bool:
        """The sandbox's limits hold for an app that tries to break them."""
        return self.confines and bool(self.cgroups or self.users)

    @property
    def kind(self) -> str:
        if not self.confines:
            return "unconfined"
        return "bubblewrap+cgroup" if self.cgroups else "bubblewrap+uid" if self.users else "bubblewrap"


def probe() -> Machine:
    """Blocks for some milliseconds."""
    program = shutil.which("bwrap") or ""
    if not program:
        return Machine(why_not="bubblewrap is not installed: `apt-get install bubblewrap`")
    if reason := _trial(program):
        return Machine(why_not=f"{program} does not work here: {reason}")
    return Machine(program, free_users(), find_cgroups(), "")


def _trial(program: str) -> str:
    """Why a sandbox can't be made, '' when it can."""
    own = [
        *namespaces(root=os.geteuid() == 0),
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    try:
        done = subprocess.run(
            [program, *own, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]
