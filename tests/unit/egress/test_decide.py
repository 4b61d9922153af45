"""Which hosts an app's grants allow it to reach, by name."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.grant import describe
from core.apps.egress.decide import Destination, exact_names, needs_proxy, permit
from pcloud.errors import Forbidden, Rejected
from pcloud.network import check_host, is_home, parse_network
from tests.integration.egress.world import granted


@pytest.mark.parametrize(
    "text",
    ["api.example.org:443", "*.example.org:443", "internet", "nas:445", "nas.local:445", "xn--bcher-kva.example:1"],
)
def test_allowed_network_grants_are_described(text: str) -> None:
    parse_network(text)
    [grant] = granted(text)
    assert describe(grant).startswith("connect to ")
    assert ("in your home (port" in describe(grant)) == text.startswith("nas")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("host", "no app is given the machine's network"), ("peers", "needs several nodes"), ("moon", "is not a host and port"),
        ("127.0.0.1:22", "is an address"), ("[::1]:22", "is an address"), ("::1:22", "is an address"),
        ("127.1:80", "is an address"), ("0x7f.1:80", "is an address"), ("2130706433:80", "is an address"),
        ("10.0.0.7:445", "is an address"), ("0x7f000001:80", "is an address"), ("localhost:8080", "this computer itself"),
        ("x.localhost:80", "this computer itself"), ("api.example.org:0", "not a port"), ("api.example.org:65536", "not a port"),
        ("api.example.org:+443", "not a port"), ("api.example.org:", "not a port"), (":443", "not a host name"),
        ("*:443", "not a host name"),
        ("*.org:443", "too wide"), ("*.local:445", "too wide"), ("a.*.org:443", "not a host name"),
        ("API.example.org:443", "must be written as 'api.example.org:443'"), ("api.example.org.:443", "must be written as"),
        ("api.example.org:0443", "not a port"), ("-a.example.org:1", "not a host name"), ("a..b:1", "not a host name"),
        ("bücher.example:1", "not a host name"),
        ("user@example.org:1", "not a host name"), ("a" * 64 + ".org:1", "not a host name"),
        ("a.org/x:1", "not a host name"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Rejected, match=why.replace("(", r"\(")):
        parse_network(text)


def allowed(host: str, port: int, *targets: str) -> bool:
    try:
        permit(granted(*targets), check_host(host), port)
    except (Forbidden, Rejected):
        return False
    return True


def test_a_name_is_granted_exactly_or_below_a_domain_with_its_port() -> None:
    grants = ("smtp.example.org:465", "*.example.com:443")
    yes = [("smtp.example.org", 465), ("SMTP.Example.ORG.", 465), ("a.example.com", 443), ("a.b.EXAMPLE.com", 443)]
    no = [
        ("smtp.example.org", 25), ("example.org", 465), ("evil-smtp.example.org", 465), ("smtp.example.org.evil", 465),
        ("example.com", 443), ("evil-example.com", 443), ("a.example.com.evil", 443), ("a.example.com", 80), ("a.example.com..", 443),
    ]  # fmt: skip
    assert [allowed(*one, *grants) for one in yes] == [True] * len(yes)
    assert [allowed(*one, *grants) for one in no] == [False] * len(no)


def test_internet_grant_excludes_names_of_the_home() -> None:
    assert allowed("anything.example", 1, "internet")
    for home in ("nas", "nas.local", "router.lan", "x.home.arpa", "db.internal", "tv.home"):
        assert is_home(home) and not allowed(home, 445, "internet")
        assert allowed(home, 445, f"{home}:445") and not allowed(home, 446, f"{home}:445")
    assert permit(granted("nas.local:445"), "nas.local", 445).home
    assert not permit(granted("fritz.box:80"), "fritz.box", 80).home, "anyone may register it"


def test_only_approved_network_grants_of_present_kinds_count() -> None:
    for grant in granted("host", "peers", "127.0.0.1:22"):
        with pytest.raises(Forbidden, match="was not granted"):
            permit([grant], "api.example.org", 443)
    [approved] = granted("api.example.org:443")
    for change in ({"state": "pending"}, {"state": "rejected"}, {"verb": "call"}):
        with pytest.raises(Forbidden):
            permit([dataclasses.replace(approved, **change)], "api.example.org", 443)
    assert exact_names(granted("host", "*.a.org:1", "b.org:2", "internet", "a.org:1")) == [
        Destination("a.org", 1), Destination("b.org", 2),
    ]  # fmt: skip
    assert [needs_proxy(granted(one)) for one in ("host", "a.org:1", "*.a.org:1", "internet")] == [
        False,
        False,
        True,
        True,
    ]


@given(st.text(max_size=30), st.sampled_from(["example.org", ".example.org", "example.org."]))
def test_whatever_is_before_or_behind_a_domain_stays_below_it(text: str, domain: str) -> None:
    for host in (text + domain, domain + text):
        if allowed(host, 443, "*.example.org:443"):
            assert check_host(host).endswith(".example.org")
