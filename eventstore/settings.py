"""What the log needs to be told: where the server is, who asks, how large each stream may grow.

Frozen values, read once by the caller and passed in; nothing here reads an environment variable or a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ConnectionSettings", "Credentials", "ServerSettings", "StoreSettings"]

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user of the server: by password, or by the seed of an nkey. Neither shows in `repr`."""

    user: str = ""
    password: str = field(default="", repr=False)
    nkey_seed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One client connection. `url`: `nats://host:port`, several servers of one cluster separated by commas."""

    url: str
    credentials: Credentials = field(default_factory=Credentials)
    name: str = "pcloud"
    connect_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The embedded server. `folder` is its own (made with mode 0700); `port` 0 takes a free one and keeps it for later
    starts; `binary` names another nats-server than the installed one."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    binary: str | None = None
    # 350,000 entities take 286 MB without, 154 MB with these two, for a fifth of the unsynced write speed.
    memory_limit: str = "150MiB"
    garbage_collection: int = 50
    ready_timeout: float = 60.0
    stop_timeout: float = 10.0
    # As often as this may it die within a minute of starting before the node is told that it can't be kept alive.
    restarts: int = 8


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Bounds of the streams and of an append. Sizes in bytes, times in seconds."""

    replicas: int = 1
    # JetStream's own memory of message ids: a shortcut only, the promise of idempotency is the graph view's.
    duplicate_window: float = 120.0
    # One attempt waits so long for its acknowledgement; all attempts of one append together so long.
    ack_timeout: float = 5.0
    append_timeout: float = 30.0
    # As much may wait to be appended; what comes beyond is refused. 5,000 are about a second's work.
    max_waiting: int = 5_000
    max_waiting_bytes: int = 64 * MEBIBYTE
    max_bytes: Mapping[str, int] = field(
        default_factory=lambda: {
            "WORK": 256 * MEBIBYTE,
            "RUNS": 512 * MEBIBYTE,
            "TIMERS": 64 * MEBIBYTE,
            "AUDIT": 256 * MEBIBYTE,
            "OBJ_ARCHIVES": 2048 * MEBIBYTE,
            "KV_NODES": 16 * MEBIBYTE,
            "KV_LEASES": 16 * MEBIBYTE,
            "KV_FORGETTING": 16 * MEBIBYTE,
        }
    )
