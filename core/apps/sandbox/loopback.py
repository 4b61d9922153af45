"""The use of each address on a sandbox's own loopback. Linux routes all of 127.0.0.0/8 there without any setup.

127.0.0.1                  bus, gateway, the proxy, and what the app itself listens on
127.1.0.1, 127.1.0.2, …    outside hosts that the app may reach, one address each, named in its /etc/hosts
127.64.0.0/10              ports that apps publish, one address for each app; the same on the machine's own loopback
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from typing import Any

from core.apps.sandbox.accept import Open

__all__ = ["LOOPBACK", "Listen", "Opening", "host_address", "is_published", "published_address"]

LOOPBACK = "127.0.0.1"
_HOSTS = ipaddress.ip_network("127.1.0.0/16")
_PUBLISHED = ipaddress.ip_network("127.64.0.0/10")
Listen = Callable[[socket, Open], Any]


@dataclass(frozen=True, slots=True)
class Opening:
    """Where core listens in a sandbox. `serve` takes a listening socket and the app's open connections, and runs until cancelled."""

    address: str
    port: int
    serve: Listen


def host_address(number: int) -> str:
    """The address of the host with this number, from 0."""
    return str(_HOSTS[number + 1])


def published_address() -> str:
    """A random address for an app that publishes ports; core's own names never use it, and other apps hardly ever do."""
    return str(_PUBLISHED[random.randrange(1, _PUBLISHED.num_addresses - 1)])  # noqa: S311 - not a secret


def is_published(address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in _PUBLISHED
    except ValueError:
        return False
