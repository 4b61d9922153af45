"""Whose word counts about where a request came from."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from multidict import CIMultiDict

from core.front.ingress.forwarded import TrustedProxies

PROXIES = TrustedProxies((ip_network("10.0.0.0/24"), ip_network("::1")))


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["made up"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["203.0.113.7:5123"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
    ],
)
def test_client_is_the_last_address_that_no_proxy_has(peer: str, chain: list[str], client: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", entry) for entry in chain])
    assert PROXIES.forwarded(peer, headers)["remote"] == client


@pytest.mark.parametrize("peer", ["10.0.1.1", "127.0.0.1", "::2", "", "not an address"])
def test_headers_from_other_addresses_mean_nothing(peer: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https")])
    assert PROXIES.forwarded(peer, headers) == {}
    assert TrustedProxies().forwarded(peer, headers) == {}


@pytest.mark.parametrize(
    ("told", "scheme"), [(["https"], "https"), (["http, https"], "https"), (["https", "http"], "http"), (["ftp"], None)]
)
def test_scheme_is_the_last_that_was_said(told: list[str], scheme: str | None) -> None:
    headers = CIMultiDict([("X-Forwarded-Proto", one) for one in told])
    assert PROXIES.forwarded("10.0.0.1", headers).get("scheme") == scheme
