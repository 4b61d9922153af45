"""How much an app may ask of the node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access.quota import QuotaRefusals, Quotas, QuotaSettings, size_of
from core.access.quota.token_bucket import TokenBucket
from pcloud.errors import Unavailable
from tests.clock import Clock

SETTINGS = QuotaSettings(events=10, events_burst=1000, calls=5, calls_burst=20)


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), max_size=60))
def test_never_more_passes_than_the_burst_and_the_rate_allow(asked: list[tuple[float, int]]) -> None:
    bucket, now, passed = TokenBucket(5.0, 20.0, 0.0), 0.0, 0
    for pause, amount in asked:
        now += pause
        if bucket.take(amount, now) == 0.0:
            passed += amount
        assert passed <= 20 + 5 * now + 1e-6


def test_after_the_told_time_it_passes() -> None:
    bucket = TokenBucket(5.0, 20.0, 0.0)
    assert bucket.take(20, 0.0) == 0.0
    wait = bucket.take(10, 0.0)
    assert wait == pytest.approx(2.0)
    assert bucket.take(10, wait) == 0.0


def test_app_beyond_its_quota_is_refused_with_a_retry_time() -> None:
    clock = Clock(0.0)
    quotas = Quotas(SETTINGS, clock=clock)
    quotas.events("app:noisy", 1000)
    with pytest.raises(Unavailable, match=r"noisy is beyond its quota of 10 events a second.*try again in 10.0 s"):
        quotas.events("app:noisy", 100)
    quotas.events("app:quiet", 100)
    quotas.calls("app:noisy")
    clock.now = 10.0
    quotas.events("app:noisy", 100)


def test_the_owner_devices_and_the_platform_are_never_refused() -> None:
    quotas = Quotas(SETTINGS, clock=Clock(0.0))
    for actor in ("person:owner", "device:1", "app:core"):
        for _ in range(30):
            quotas.events(actor, 1000)
            quotas.calls(actor)


def test_refusals_are_reported_once_per_window() -> None:
    told: list[tuple[str, str]] = []
    clock = Clock(0.0)
    refusals = QuotaRefusals(lambda app, kind, what: told.append((app, kind)), window=60, clock=clock)
    quotas = Quotas(SETTINGS, refusals=refusals, clock=clock)

    def flood() -> None:
        for _ in range(2000):
            try:
                quotas.calls("app:noisy")
            except Unavailable:
                continue

    flood()
    assert told == [("noisy", "calls")]
    clock.now = 61.0
    flood()
    assert told == [("noisy", "calls")] * 2


def test_write_larger_than_a_burst_passes_with_a_full_bucket() -> None:
    clock = Clock(0.0)
    quotas = Quotas(QuotaSettings(events=10, events_burst=100), clock=clock)
    quotas.events("app:large", 1000)
    with pytest.raises(Unavailable):
        quotas.events("app:large", 1)


def test_large_events_count_as_many() -> None:
    quotas = Quotas(QuotaSettings(events=10, events_burst=1000, event_bytes=1000), clock=Clock(0.0))
    quotas.events("app:large", 1, 900_000)
    with pytest.raises(Unavailable, match="quota of 10 events"):
        quotas.events("app:large", 1, 900_000)


def test_shared_values_count_each_time_they_are_written() -> None:
    one = {"text": "x" * 1000}
    assert size_of([one] * 50) > 50_000
    assert size_of([one] * 50_000, 10_000) < 1_000_000  # of 50,000,000: the count stops early
