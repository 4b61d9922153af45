"""The log's settings: where the server is, the credentials, how large each stream may grow.

Frozen values, which the caller reads once and passes in; this module reads no environment variables and no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ConnectionSettings", "Credentials", "ServerSettings", "StoreSettings"]

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user of the server: by password, or by the seed of an nkey. `repr` shows neither."""

    user: str = ""
    password: str = field(default="", repr=False)
    nkey_seed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One client connection. `url`: `nats://host:port`; separate several servers of one cluster by commas.
    `patience`: seconds without an answer after which the server counts as silent."""

    url: str
    credentials: Credentials = field(default_factory=Credentials)
    name: str = "pcloud"
    connect_timeout: float = 10.0
    patience: float = 10.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The embedded server. `folder` is its own (made with mode 0700); `port` 0 picks a free one and keeps it for later
    starts; `binary` names another nats-server than the installed one."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    binary: str | None = None
    # 350,000 entities take 286 MB without, 154 MB with these two, for a fifth of the unsynced write speed.
    memory_limit: str = "150MiB"
    garbage_collection: int = 50
    # After a crash, reading a large log takes minutes on a small machine.
    ready_timeout: float = 300.0
    stop_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Limits of the streams and of an append. Sizes in bytes, times in seconds."""

    replicas: int = 1
    # JetStream's own memory of message ids: only a shortcut; the graph projection keeps the promise of idempotency.
    duplicate_window: float = 120.0
    # How long one attempt waits for its acknowledgement, and all attempts of one append together.
    ack_timeout: float = 5.0
    append_timeout: float = 30.0
    # How many transactions may wait to be appended; further ones are refused. 5,000 are about a second's work.
    max_waiting: int = 5_000
    max_waiting_bytes: int = 64 * MEBIBYTE
    max_bytes: Mapping[str, int] = field(
        default_factory=lambda: {
            "WORK": 256 * MEBIBYTE,
            "RUNS": 512 * MEBIBYTE,
            "AUDIT": 256 * MEBIBYTE,
            "OBJ_ARCHIVES": 2048 * MEBIBYTE,
            "KV_FORGETTING": 16 * MEBIBYTE,
        }
    )
