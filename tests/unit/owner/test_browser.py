"""Descriptions of browsers for the owner; no text that a browser sends is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.people.owner.browser import BROWSERS, DEVICES, UNKNOWN, described

MAC, WINDOWS = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "browser", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux computer"),
        (f"{WINDOWS} {KIT} Chrome/138.0.0.0 Safari/537.36", "Chrome", "Windows computer"),
        (f"{WINDOWS} {KIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0", "Edge", "Windows computer"),
        (f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari", "Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
         "Mobile/15E148 Safari/604.1", "Safari", "iPhone"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0 "
         "Mobile/15E148 Safari/604.1", "Chrome", "iPhone"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {KIT} Chrome/138.0.0.0 Mobile Safari/537.36", "Chrome", "Android phone"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {KIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36", "Samsung Internet",
         "Android tablet"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox", "Android phone"),
        ("curl/8.7.1", "curl", "unknown device"),
        ("", *UNKNOWN),
    ],
)  # fmt: skip
def test_a_browser_is_named_as_its_owner_knows_it(agent: str, browser: str, device: str) -> None:
    assert described(agent) == (browser, device)


@given(st.text(max_size=3000))
def test_only_words_of_ours_come_out(agent: str) -> None:
    browser, device = described(agent)
    assert browser in {UNKNOWN[0], *(name for _, name in BROWSERS)}
    assert device in {UNKNOWN[1], *(name for _, name in DEVICES)}
