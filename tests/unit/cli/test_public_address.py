"""`--public-url` and `--trusted-proxy`: what is accepted, and which error a mistake gets."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from core.cli.public_address import PublicAddress, read_public_address
from core.cli.service import command_line
from pcloud.errors import Rejected

PROXY = ("127.0.0.1",)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://Cloud.Example.org/", "https://cloud.example.org"),
        ("https://cloud.example.org:443", "https://cloud.example.org"),
        ("https://cloud.example.org:8443", "https://cloud.example.org:8443"),
    ],
)
def test_public_address_implies_the_domain(url: str, read: str) -> None:
    public = read_public_address(url, ["127.0.0.1", "10.0.0.0/24"], "localhost")
    assert public == (read, "cloud.example.org", (ip_network("127.0.0.1"), ip_network("10.0.0.0/24")))
    assert read_public_address(url, PROXY, "cloud.example.org").domain == "cloud.example.org"


def test_without_a_proxy_the_domain_stays() -> None:
    assert read_public_address("", (), "home.example") == PublicAddress("", "home.example")


@pytest.mark.parametrize(
    ("url", "proxies", "domain", "told"),
    [
        ("http://cloud.example.org", PROXY, "localhost", "begin with https"),
        ("cloud.example.org", PROXY, "localhost", "begin with https"),
        ("https://192.168.1.10", PROXY, "localhost", "needs a domain name"),
        ("https://[::1]", PROXY, "localhost", "needs a domain name"),
        ("https://cloud", PROXY, "localhost", "needs a domain name"),
        ("https://-.example.org", PROXY, "localhost", "needs a domain name"),
        (f"https://{'a.' * 200}org", PROXY, "localhost", "needs a domain name"),
        ("https://cloud.example.org/photos", PROXY, "localhost", "root of its name"),
        ("https://me@cloud.example.org", PROXY, "localhost", "root of its name"),
        ("https://cloud.example.org:99999", PROXY, "localhost", "[Pp]ort"),
        ("https://[", PROXY, "localhost", "public address"),
        ("https://cloud.example.org", (), "localhost", "needs --trusted-proxy"),
        ("", PROXY, "localhost", "needs --public-url"),
        ("https://cloud.example.org", ("nginx",), "localhost", "an address or a network"),
        ("https://cloud.example.org", ("10.0.0.1/8",), "localhost", "has host bits set"),
        ("https://cloud.example.org", ("0.0.0.0/0",), "localhost", "can't be every address"),
        ("https://cloud.example.org", PROXY, "home.example", "leave --domain out"),
    ],
)
def test_mistake_is_refused_with_its_reason(url: str, proxies: tuple[str, ...], domain: str, told: str) -> None:
    with pytest.raises(Rejected, match=told):
        read_public_address(url, proxies, domain)


def test_service_starts_the_node_with_the_same_options() -> None:
    public = read_public_address("https://cloud.example.org", ["127.0.0.1", "10.0.0.0/24"], "localhost")
    command = command_line(Path("/data"), Path("/files"), "127.0.0.1:8080", public, "sqlite", None)
    assert command[-6:-2] == ["--domain", "cloud.example.org", "--public-url", "https://cloud.example.org"]
    assert command[-2:] == ["--trusted-proxy=127.0.0.1/32", "--trusted-proxy=10.0.0.0/24"]
