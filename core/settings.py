"""What a node is told at its start. Read once, frozen, passed in; nothing else in core reads the command line or the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from pcloud.errors import Rejected

__all__ = ["NodeSettings", "default_data_folder", "parse_listen"]

DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_DOMAIN = "localhost"
# Below this much free space the node takes no new work, so that the log itself never meets a full disk.
DISK_RESERVE = 256 * 2**20


def default_data_folder() -> Path:
    """Where `pcloud up` keeps everything when not told otherwise."""
    return Path(platformdirs.user_data_dir("pcloud"))


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::1]:PORT` or `PORT` as host and port (0: a free one); raises `Rejected`."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        raise Rejected(f"{text!r} is no address to listen on: write HOST:PORT, such as {DEFAULT_LISTEN}")
    return host, int(port)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """`data`: this node's folder. `host`, `port`: of the web address, 0 for a free port. `domain`: apps are at `<app>.<domain>`.
    `unconfined`: also run other archives than the bundled ones without a sandbox. `disk_reserve`: bytes that must stay free."""

    data: Path = field(default_factory=default_data_folder)
    host: str = "127.0.0.1"
    port: int = 8080
    domain: str = DEFAULT_DOMAIN
    unconfined: bool = False
    disk_reserve: int = DISK_RESERVE
