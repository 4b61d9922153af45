"""Which origin a host belongs to: core's, an app's, or neither."""

from __future__ import annotations

import re

import pytest
from aiohttp.test_utils import make_mocked_request

from core.front.ingress.hosts import Domains, own_domains, port_of


@pytest.mark.parametrize(
    ("host", "app"),
    [
        ("localhost", ""),
        ("localhost:8080", ""),
        ("127.0.0.1:8080", ""),
        ("[::1]:8080", ""),
        ("[::1]", ""),
        ("LOCALHOST", ""),
        ("photos.localhost:8080", "photos"),
        ("Random-Puppy.localhost", "random-puppy"),
    ],
)
def test_our_own_hosts_are_known(host: str, app: str) -> None:
    assert Domains("localhost").app_of(host) == app


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "localhost.evil.example", "photos.localhost.evil.example", "a.b.localhost", ".localhost", "photos.",
        "evil\\.localhost", "16909060\\.localhost:8080", "evil@localhost", "localhost:80@evil.example", "localhost:", "localhost:x",
        "photos.localhost/", "photos.localhost#", "photos .localhost", "photos.localhost\n", "192.168.1.4:8080",
    ],
)  # fmt: skip
def test_foreign_host_belongs_to_no_origin(host: str) -> None:
    assert Domains("localhost").app_of(host) is None


def test_a_domain_of_ones_own_has_its_apps() -> None:
    domains = own_domains("cloud.example.org", bytes(32))
    assert domains.app_of("cloud.example.org") == ""
    assert domains.app_of("photos.cloud.example.org:8443") == "photos"
    assert domains.app_of("example.org") is None
    assert domains.names == ("cloud.example.org",)


def test_localhost_has_an_unguessable_domain_of_each_node() -> None:
    one, other = own_domains("localhost", b"a" * 32), own_domains("localhost", b"b" * 32)
    name = one.unguessable
    assert re.fullmatch(r"cloud-[a-z2-7]{16}\.localhost", name) and name != other.unguessable
    assert one.app_of(name) == "" and one.app_of(f"photos.{name}:8080") == "photos" and other.app_of(name) != ""
    assert own_domains("localhost", None).unguessable == ""


@pytest.mark.parametrize(
    ("host", "console", "shared"),
    [
        ("localhost:8080", "http://console.localhost:8080/", False),
        ("127.0.0.1:8080", "http://console.localhost:8080/", False),
        ("photos.cloud-x.localhost:8080", "http://console.cloud-x.localhost:8080/", True),
    ],
)
def test_links_keep_the_requests_domain(host: str, console: str, shared: bool) -> None:
    domains = Domains("localhost", "cloud-x.localhost")
    request = make_mocked_request("GET", "/", {"Host": host})
    assert domains.address(request, "console") == console and domains.shared_site(host) == shared


def test_the_port_of_a_host() -> None:
    assert [port_of(host) for host in ("localhost:8080", "localhost", "[::1]:8080", "[::1]")] == [
        "8080",
        "",
        "8080",
        "",
    ]
