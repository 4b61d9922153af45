"""Which addresses core dials for an app."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apps.egress.address import own_interfaces, refusal

OWN = [ipaddress.ip_interface(one) for one in ("127.0.0.1/8", "93.184.216.34/24", "192.168.1.5/24", "2a00:1234::5/64")]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "100.64.0.1", "::ffff:8.8.8.8",
     "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "192.88.99.1", "224.0.0.1",
     "ff02::1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "2001:db8::1", "100::1", "fec0::1", "4000::1",
     "93.184.216.34", "192.168.1.5", "2a00:1234::5", "nonsense", ""],
)  # fmt: skip
@pytest.mark.parametrize("home", [True, False])
def test_special_and_own_addresses_are_never_dialled(address: str, home: bool) -> None:
    assert refusal(address, OWN, home=home)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.1", "192.168.1.77", "fd00::1", "93.184.216.99", "2a00:1234::99"]
)
def test_home_machine_is_dialled_only_with_a_grant(address: str) -> None:
    assert "your home" in refusal(address, OWN, home=False) or "same network" in refusal(address, OWN, home=False)
    assert refusal(address, OWN, home=True) == ""


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.217.1", "2606:4700::1111", "172.32.0.1", "100.128.0.1"])
@pytest.mark.parametrize("home", [True, False])
def test_public_addresses_are_dialled(address: str, home: bool) -> None:
    assert refusal(address, OWN, home=home) == ""


@given(st.ip_addresses())
def test_addresses_that_python_calls_private_are_never_dialled(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Python's list differs from ours, and is shorter in places."""
    if (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
    ):
        assert refusal(str(address), [], home=False)


def test_the_machine_knows_its_own_addresses() -> None:
    assert any(str(one.ip) == "127.0.0.1" and one.network.prefixlen == 8 for one in own_interfaces())
