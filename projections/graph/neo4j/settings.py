"""Where the Neo4j server is, and as whom. The password never stands in an address, which others can read in a list of processes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pcloud.errors import Rejected

__all__ = ["Neo4jSettings", "parse_address"]

PORT = 7687
# neo4j: would ask the server for a cluster's routes; a community server is one, and may not know under which name others see it.
_SCHEMES = {"neo4j": "bolt", "neo4j+s": "bolt+s", "neo4j+ssc": "bolt+ssc", "bolt": "bolt", "bolt+s": "bolt+s"}


@dataclass(frozen=True, slots=True)
class Neo4jSettings:
    """`address`: for the driver. `holder`: who this is when it asks for the lease; one process at a time may use the same.
    `lease_seconds`: how long nobody else may fold after the holder's last batch, and the longest that a batch may take.
    `longest_seconds`: of a question. `space`: sets this version of the view apart from others in the same database. `owner`: whose
    graph it is; a database with somebody else's is refused."""

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
    """`neo4j://user@host:7687` as address for the driver and user; raises `Rejected`."""
    form = "write neo4j://user@host:7687"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or PORT
    except ValueError as error:
        raise Rejected(f"{text!r} is no address of a Neo4j server: {error}; {form}") from error
    if parts.password is not None:
        raise Rejected(
            "the address of the Neo4j server has a password in it, which every user of this machine could read: "
            "put it into a file or into an environment variable"
        )
    if parts.scheme not in _SCHEMES or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise Rejected(f"{text!r} is no address of a Neo4j server: {form}")
    shown = f"[{host}]" if ":" in host else host
    return f"{_SCHEMES[parts.scheme]}://{shown}:{port}", parts.username or "neo4j"
