"""The ports of one server: chosen at the first start, kept in a file, so that addresses given to clients go on holding.

weed puts the gRPC port of each part at its HTTP port + 10000. Free ones are looked for below 22768: then both lie below Linux's
range of outgoing ports (from 32768), and no connection of another program can take one while the server is down.
"""

from __future__ import annotations

import errno
import random
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pcloud.errors import Conflict, Corrupt, Unavailable

__all__ = ["GRPC_OFFSET", "Ports", "keep_ports"]

GRPC_OFFSET = 10000
_FREE = range(15000, 22768)


@dataclass(frozen=True, slots=True)
class Ports:
    s3: int
    filer: int
    master: int
    volume: int
    admin: int


def keep_ports(file: Path, s3_port: int) -> Ports:
    """The kept ports, or new ones; raises `Conflict` naming a port that another program has."""
    kept = _read(file)
    if kept is None:
        s3 = s3_port or _free(set())
        taken = {s3}
        for _ in range(4):
            taken.add(_free(taken))
        ports = Ports(s3, *sorted(taken - {s3}))
    else:
        ports = replace(kept, s3=s3_port or kept.s3)
    for name in Ports.__slots__:
        port = getattr(ports, name)
        for number in (port, port + GRPC_OFFSET):
            if not _is_free(number):
                raise Conflict(
                    f"port {number} (object-store's {name}) is taken by another program: end that, or set s3_port"
                )
    if ports != kept:
        file.write_bytes(msgspec.json.encode(ports))
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
        if port not in taken and _is_free(port) and _is_free(port + GRPC_OFFSET):
            return port
    raise Unavailable(f"no free port was found from {_FREE.start} to {_FREE.stop - 1}: end some other servers")


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
