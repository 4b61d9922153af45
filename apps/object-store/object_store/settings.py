"""The owner's settings, checked once and frozen. This module reads no environment: the app passes its settings in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from object_store.weed.capacity import files_allowed
from pcloud.errors import Rejected

__all__ = ["Settings"]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Settings:
    """`folder`: the store's files. `s3_port`: 0 for a free one. `s3_host`: the address at which clients reach it, which
    signatures include. `memory_mb`: soft limit of weed's heap (GOMEMLIMIT).

    `upload_memory_mb`: bytes that uploads may hold at once; further ones wait. `reserve_mb`: what PCloud keeps free of the
    disk; uploads stop before. `weed`: its binary, found on PATH if
    empty. `start_seconds`: how long weed may take until it answers, before it is killed and started again; a large store
    on a slow machine needs minutes. `store_seconds`: how long it may then take until it stores something; one that reads
    but does not store (as on a full disk) serves reads from then on. `stop_seconds`: to end after SIGTERM, before SIGKILL, which
    loses nothing either; a client that keeps a connection open can delay the end for long. `files`: descriptors that weed may have
    open, by default as many as this process.
    """

    folder: Path
    s3_port: int = 0
    s3_host: str = LOOPBACK
    memory_mb: int = 200
    upload_memory_mb: int = 32
    reserve_mb: int = 256
    region: str = "us-east-1"
    weed: str = ""
    start_seconds: float = 300.0
    store_seconds: float = 45.0  # an installation waits a minute for the app
    stop_seconds: float = 6.0
    files: int = field(default_factory=files_allowed)

    @classmethod
    def read(cls, folder: Path, given: Mapping[str, Any], s3_port: str = "", s3_host: str = "") -> Settings:
        """The app's settings; raises `Rejected` with the name of the wrong one. `s3_port`, `s3_host`: those that the
        node assigned (`run.ports`); this port overrides the setting, since no other one can be reached."""
        unknown = sorted(set(given) - {"s3_port", "memory_mb", "upload_memory_mb", "reserve_mb", "region", "weed"})
        if unknown:
            raise Rejected(f"object-store has no setting {unknown[0]!r}")
        return cls(
            folder=folder,
            s3_port=int(s3_port)
            if s3_port
            else _number(given, "s3_port", 0, 0, 55535),  # weed puts gRPC at port + 10000
            s3_host=s3_host or LOOPBACK,
            memory_mb=_number(given, "memory_mb", 200, 64, 65536),
            upload_memory_mb=_number(given, "upload_memory_mb", 32, 8, 65536),
            reserve_mb=_number(given, "reserve_mb", 256, 0, 2**20),
            region=str(given.get("region", "us-east-1")),
            weed=str(given.get("weed", "")),
        )


def _number(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Rejected(f"object-store's setting {name} is {value!r}: it must be a whole number from {low} to {high}")
    return value
