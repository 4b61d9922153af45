"""Whose origin a host is: core's, an app's, or nobody's."""

from __future__ import annotations

import pytest

from core.ingress.hosts import app_of, port_of


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
    assert app_of(host, "localhost") == app


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "localhost.evil.example", "photos.localhost.evil.example", "a.b.localhost", ".localhost", "photos.",
        "evil\\.localhost", "16909060\\.localhost:8080", "evil@localhost", "localhost:80@evil.example", "localhost:", "localhost:x",
        "photos.localhost/", "photos.localhost#", "photos .localhost", "photos.localhost\n", "192.168.1.4:8080",
    ],
)  # fmt: skip
def test_a_host_that_is_not_ours_is_nobodys(host: str) -> None:
    assert app_of(host, "localhost") is None


def test_a_domain_of_ones_own_has_its_apps() -> None:
    assert app_of("cloud.example.org", "cloud.example.org") == ""
    assert app_of("photos.cloud.example.org:8443", "cloud.example.org") == "photos"
    assert app_of("example.org", "cloud.example.org") is None


def test_the_port_of_a_host() -> None:
    assert [port_of(host) for host in ("localhost:8080", "localhost", "[::1]:80", "[::1]")] == ["8080", "", "80", ""]
