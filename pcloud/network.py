"""The hosts outside that an app may reach, as its manifest lists them:

    smtp.example.org:465      one host, one port
    "*.example.org:443"       every host below a domain, one port; quoted, since `*` means something else to YAML
    internet                  every host of the internet, every port

Only names are allowed: an address tells the owner nothing, and a request could use one to reach this computer or a
machine beside it. This module resolves nothing and grants nothing; core does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pcloud.errors import Rejected

__all__ = ["INTERNET", "Network", "check_host", "is_home", "parse_network"]

INTERNET = "internet"
EXAMPLE = 'write HOST:PORT such as api.example.org:443, "*.example.org:443", or internet'
# Names that the public DNS does not serve: mDNS (RFC 6762), RFC 8375, and names that ICANN has reserved or never
# delegates.
HOME = frozenset({"local", "home.arpa", "internal", "lan", "home"})
LONGEST = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What the C library reads as part of an IPv4 address: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GONE = {
    "host": "no app is given the machine's network: name what the app connects to, such as [api.example.org:443], or write internet",
    "peers": "'peers' needs several nodes, which this version does not have: remove the entry",
}


class Network(NamedTuple):
    """`below`: the hosts below `host`, without `host` itself; below '' are all hosts. `port`: 0 for every port."""

    host: str
    port: int
    below: bool = False

    def holds(self, host: str, port: int) -> bool:
        """Return True if the entry includes this host (as `check_host` returns it) and port."""
        if self.port not in (0, port):
            return False
        return (not self.host or host.endswith(f".{self.host}")) if self.below else host == self.host


def parse_network(text: str) -> Network:
    """Raises `Rejected`."""
    if text == INTERNET:
        return Network("", 0, below=True)
    if text in _GONE:
        raise Rejected(_GONE[text])
    name, colon, digits = text.rpartition(":")
    if not colon:
        raise Rejected(f"'{text}' is not a host and port: {EXAMPLE}")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits) or int(digits) > 65535:
        raise Rejected(f"'{digits}' in '{text}' is not a port from 1 to 65535: {EXAMPLE}")
    below = name.startswith("*.")
    host = check_host(name.removeprefix("*."))
    if below and ("." not in host or is_home(host)):
        raise Rejected(
            f"'{text}' is too wide: name a domain of two parts at least, or each machine of your home network by itself"
        )
    if (written := f"{'*.' if below else ''}{host}:{int(digits)}") != text:
        raise Rejected(f"'{text}' must be written as '{written}'")
    return Network(host, int(digits), below)


def check_host(text: str) -> str:
    """A host's name in small letters, without a trailing dot; raises `Rejected` for an address or an invalid name."""
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if ":" in host or host.startswith("[") or _NUMBER.fullmatch(labels[-1]):
        raise Rejected(f"'{text}' is an address, and apps are given names alone: {EXAMPLE}")
    if len(host) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise Rejected(f"'{text}' is not a host name: {EXAMPLE}")
    if labels[-1] in ("localhost", "localdomain"):
        raise Rejected(f"'{text}' is this computer itself, which no app reaches: {EXAMPLE}")
    return host


def is_home(host: str) -> bool:
    """Return True if only the home network can define this name (`nas`, `nas.local`). A stranger can't have registered
    it."""
    return "." not in host or any(host.endswith(f".{domain}") or host == domain for domain in HOME)
