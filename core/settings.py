"""A node's settings. `core.cli` reads them from the command line and the environment once, at the start, and passes them in, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import platformdirs

from core.shipped.places import default_files_folder
from pcloud.errors import Rejected

__all__ = [
    "GraphServer",
    "Network",
    "NodeSettings",
    "default_data_folder",
    "parse_listen",
    "read_graph_server",
]

Network = IPv4Network | IPv6Network

DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_DOMAIN = "localhost"
# Below this much free space the node accepts no new work, so that the log itself never meets a full disk.
DISK_RESERVE = 256 * 2**20


def default_data_folder() -> Path:
    """Return the default folder of `pcloud up`."""
    return Path(platformdirs.user_data_dir("pcloud"))


def parse_listen(text: str) -> tuple[str, int]:
    """Return `HOST:PORT`, `[::1]:PORT` or `PORT` as host and port (0: a free one). Raises `Rejected`."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        raise Rejected(f"{text!r} is not an address to listen on: write HOST:PORT, such as {DEFAULT_LISTEN}")
    return host, int(port)


@dataclass(frozen=True, slots=True)
class GraphServer:
    """A Neo4j server for the apps' types: `address` (`neo4j://user@host:7687`), and the password, which is never on a command line."""

    address: str
    password: str = field(repr=False)


def read_graph_server(address: str, password_file: Path | None, password: str) -> GraphServer | None:
    """Read `--graph`, `--graph-password-file` and PCLOUD_GRAPH_PASSWORD; None for the embedded graph. Raises `Rejected`."""
    if address in ("", "sqlite"):
        return None
    if password_file is not None:
        try:
            password = password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Rejected(f"the password of the graph's server can't be read from {password_file}: {error}") from error
    if not password:
        raise Rejected(
            "the graph's server needs a password: put it into a file and name the file with --graph-password-file, or into the environment "
            "variable PCLOUD_GRAPH_PASSWORD"
        )
    return GraphServer(address, password)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """`data`: this node's folder. `host`, `port`: of the web address, 0 for a free port. `domain`: apps are at `<app>.<domain>`.
    `unconfined`: run apps without a sandbox, including those that are not bundled. `disk_reserve`: bytes that must stay free.
    `files`: folder of the files that bundled apps fetch on first use. `traces`: send traces as the variables OTEL_* say.
    `graph`: the server with the apps' types; None keeps them in the data folder. `trust_clock`: write even if the clock is before the
    log's newest event. `public_url`: where a reverse proxy serves the cloud over https; '' without one.
    `trusted_proxies`: where it connects from."""

    data: Path = field(default_factory=default_data_folder)
    host: str = "127.0.0.1"
    port: int = 8080
    domain: str = DEFAULT_DOMAIN
    unconfined: bool = False
    disk_reserve: int = DISK_RESERVE
    files: Path = field(default_factory=default_files_folder)
    traces: bool = False
    graph: GraphServer | None = None
    trust_clock: bool = False
    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def on_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1")
