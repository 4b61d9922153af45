"""The ports of one server: chosen at the first start and kept in a file, so that addresses given to clients stay valid.

weed puts the gRPC port of each part at its HTTP port + 10000. Free ports are searched below 22768: then both are below
Linux's range of outgoing ports (from 32768), and no other program's connection can take one while the server is down.
"""

from __future__ import annotations

import errno
import random
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from object_store.weed.secret import write_private
from pcloud.errors import Conflict, Corrupt, Unavailable

__all__ = ["GRPC_OFFSET", "Ports", "keep_ports"]

GRPC_OFFSET = 10000
_FREE = range(15000, 22768)


@dataclass(frozen=True, slots=True)
class Ports:
    """`s3`: where clients reach the gate; `weed_s3`: where weed itself serves S3 (0 in a file of an earlier version)."""

    s3: int
    filer: int
    master: int
    volume: int
    admin: int
    weed_s3: int = 0


def keep_ports(file: Path, s3_port: int) -> Ports:
    """The kept ports, or new ones. If another program has taken an inner port, it is replaced, since clients don't know
    it; if it has taken the S3 port, which clients know, this raises `Conflict`."""
    kept = _read(file)
    s3 = s3_port or (kept.s3 if kept else _free(set()))
    if not _is_usable(s3):
        raise Conflict(
            f"port {s3} or {s3 + GRPC_OFFSET} is taken by another program: end that, or set s3_port to another one"
        )
    chosen = {"s3": s3}
    for name in ("weed_s3", "filer", "master", "volume", "admin"):
        port = getattr(kept, name) if kept else 0
        taken = set(chosen.values())
        chosen[name] = port if port and port not in taken and _is_usable(port) else _free(taken)
    ports = Ports(**chosen)
    if ports != kept:
        write_private(file, msgspec.json.encode(ports))
    return ports


def _read(file: Path) -> Ports | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ports)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"{file} does not hold the ports of the object store: {error}; remove it to have new ones chosen"
        ) from error


def _free(taken: set[int]) -> int:
    for port in random.sample(_FREE, 200):
        if port not in taken and _is_usable(port):
            return port
    raise Unavailable(f"no free port was found from {_FREE.start} to {_FREE.stop - 1}: end some other servers")


def _is_usable(port: int) -> bool:
    return _is_free(port) and _is_free(port + GRPC_OFFSET)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
