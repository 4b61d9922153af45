"""Which addresses core dials for an app: public ones, and those of the home's network if the owner approved that
machine by its name.

Written out here from the registries of special addresses
(https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry), because what Python's
`ipaddress` calls global differs between its versions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import psutil

__all__ = ["Interface", "own_interfaces", "refusal"]

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_THIS = "this computer itself"
_NEVER = {
    "127.0.0.0/8": _THIS, "::1/128": _THIS, "0.0.0.0/8": _THIS, "::/128": _THIS,
    "169.254.0.0/16": "link-local (a provider's own services, often with secrets)", "fe80::/10": "link-local",
    "224.0.0.0/4": "multicast", "ff00::/8": "multicast",
    "100.64.0.0/10": "the network between a provider and its customers (CGNAT)",
    "::ffff:0:0/96": "an IPv4 address written as IPv6", "64:ff9b::/96": "an IPv4 address behind NAT64",
    "64:ff9b:1::/48": "an IPv4 address behind NAT64", "2002::/16": "an IPv4 address behind 6to4", "192.88.99.0/24": "6to4",
    "2001::/32": "an IPv4 address behind Teredo", "2001::/23": "reserved", "192.0.0.0/24": "reserved", "192.0.2.0/24": "for examples",
    "198.18.0.0/15": "for measurements", "198.51.100.0/24": "for examples", "203.0.113.0/24": "for examples",
    "2001:db8::/32": "for examples", "3fff::/20": "for examples", "240.0.0.0/4": "reserved",
}  # fmt: skip
_HOME = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
NEVER = tuple((ipaddress.ip_network(network), why) for network, why in _NEVER.items())
PRIVATE = tuple(ipaddress.ip_network(network) for network in _HOME)
# The only part of IPv6 that is allocated: https://www.iana.org/assignments/ipv6-address-space
GIVEN_OUT = ipaddress.ip_network("2000::/3")


def refusal(address: str, own: Sequence[Interface], *, home: bool) -> str:
    """Why core does not dial this address, '' if it does. `own`: the machine's interfaces. `home`: a machine of the home was approved."""
    try:
        one = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    for network, why in NEVER:
        if one in network:
            return why
    if any(one == interface.ip for interface in own):
        return _THIS
    if not home and any(one in network for network in PRIVATE):
        return "a machine of your home (a private network)"
    if not home and any(one in interface.network for interface in own):
        return "a machine in the same network as this computer"
    if one.version == 6 and one not in GIVEN_OUT and not any(one in network for network in PRIVATE):
        return "reserved"
    return ""


def own_interfaces() -> list[Interface]:
    """Return this machine's current addresses, each with its network."""
    found: list[Interface] = []
    for card in psutil.net_if_addrs().values():
        for one in card:
            try:
                address = ipaddress.ip_address(one.address.partition("%")[0])
            except ValueError:  # not an IP address
                continue
            found.append(ipaddress.ip_interface(f"{address}/{_prefix(one.netmask, address.max_prefixlen)}"))
    return found


def _prefix(netmask: str | None, longest: int) -> int:
    """Return the number of bits of the network part."""
    return int(ipaddress.ip_address(netmask)).bit_count() if netmask else longest
