"""The systemd unit that runs a node: its text and its place. Nothing here runs systemd.

The directives leave room for what confines apps: bubblewrap needs user namespaces, a new /proc and a host name in them. So
`RestrictNamespaces`, `ProtectHostname`, and whatever covers a part of /proc (`ProtectKernelTunables`, `ProtectKernelLogs`,
`ProtectProc`) stay off: with them, no sandbox could be made. A user's own systemd can't set up the mounts of
`ProtectSystem`; there, those that need no rights remain.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcloud.errors import Rejected

__all__ = ["NAME", "Unit", "unit_path"]

NAME = "pcloud.service"
SYSTEM_FOLDER = Path("/etc/systemd/system")

TEXT = """\
# Made by `pcloud service install`, which writes it again; your own changes belong into `systemctl {edit} pcloud`.
[Unit]
Description=PCloud, a personal cloud
{after}# A node that ends is always started again.
StartLimitIntervalSec=0

[Service]
Type=exec
{user}ExecStart={command}
Restart=always
RestartSec=2
# The node ends its apps and its log's server itself; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=90
# An app that runs out of memory is not the end of the node.
OOMPolicy=continue
# Apps are limited by control groups below the node's own.
Delegate=yes
LimitNOFILE={files}
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
{hardened}
[Install]
WantedBy={target}
"""
AFTER = """\
Wants=network-online.target
After=network-online.target time-sync.target
"""
HARDENED = """\
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=full
ProtectKernelModules=yes
"""
OPEN_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Unit:
    """`command`: an absolute program and its arguments. `user`: for a unit of the system, who runs it; '' for a unit of
    the user's own."""

    command: Sequence[str]
    user: str = ""

    def render(self) -> str:
        """Raises `Rejected` for an argument or path that a unit can't hold."""
        command = " ".join(quoted(word) for word in self.command)
        return TEXT.format(
            edit="edit" if self.user else "--user edit", after=AFTER if self.user else "",
            user=f"User={self.user}\n" if self.user else "", command=command, files=OPEN_FILES,
            hardened=HARDENED if self.user else "", target="multi-user.target" if self.user else "default.target",
        )  # fmt: skip


def quoted(word: str) -> str:
    """Return the word as systemd reads it back; see systemd.service(5), "Command lines"."""
    if not word.isprintable():
        raise Rejected(f"{word!r} has a line break or another control character, which a systemd unit can't hold")
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"'


def unit_path(*, system: bool) -> Path:
    """Return where the unit is: the system's, or this user's own."""
    if system:
        return SYSTEM_FOLDER / NAME
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path(pwd.getpwuid(os.getuid()).pw_dir) / ".config")
    return home / "systemd" / "user" / NAME
