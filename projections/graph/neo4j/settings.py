"""The Neo4j server's address and user. The password is never part of an address, which others can read in a process
list."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pcloud.errors import Rejected

__all__ = ["Neo4jSettings", "parse_address"]

PORT = 7687
# neo4j: would ask the server for a cluster's routes; a community server is a single server and may not know its own
# address as others see it.
_SCHEMES = {"neo4j": "bolt", "neo4j+s": "bolt+s", "neo4j+ssc": "bolt+ssc", "bolt": "bolt", "bolt+s": "bolt+s"}


@dataclass(frozen=True, slots=True)
class Neo4jSettings:
    """`address`: for the driver. `holder`: this node's name for the lease; only one process at a time may use it.
    `lease_seconds`: how long other nodes may not fold after the holder's last batch, and the longest time for a batch.
    `longest_seconds`: for a query. `space`: separates this version of the projection from others in the same database.
    `owner`: whose graph it is; a database of another owner is refused."""

    address: str
    user: str = "neo4j"
    password: str = field(default="", repr=False)
    space: str = ""
    owner: str = ""
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    lease_seconds: float = 10.0
    connect_seconds: float = 3.0
    longest_seconds: float = 5.0
    patient_seconds: float = 600.0


def parse_address(text: str) -> tuple[str, str]:
    """`neo4j://user@host:7687` as the driver's address and the user; raises `Rejected`."""
    form = "write neo4j://user@host:7687"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or PORT
    except ValueError as error:
        raise Rejected(f"{text!r} is not the address of a Neo4j server: {error}; {form}") from error
    if parts.password is not None:
        raise Rejected(
            "the address of the Neo4j server contains a password, which every user of this machine could read: "
            "put it into a file or into an environment variable"
        )
    if parts.scheme not in _SCHEMES or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise Rejected(f"{text!r} is not the address of a Neo4j server: {form}")
    shown = f"[{host}]" if ":" in host else host
    return f"{_SCHEMES[parts.scheme]}://{shown}:{port}", parts.username or "neo4j"
