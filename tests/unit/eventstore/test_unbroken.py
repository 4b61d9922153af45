"""A reader never hands out events after a gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.follow import _unbroken
from eventstore.pull import ConsumerLost, Delivered


def delivered(place: int) -> Delivered:
    return Delivered("graph.a.B.c", None, b"", "", 1, 10 * place, place, 0.0, 0)


@given(st.integers(0, 50), st.sets(st.integers(1, 20), min_size=1))
def test_reader_stops_at_the_first_gap(place: int, missing_or_not: set[int]) -> None:
    places = sorted(place + step for step in missing_or_not)
    unbroken = [one for index, one in enumerate(places) if one == place + index + 1]
    if not unbroken:
        with pytest.raises(ConsumerLost):
            _unbroken([delivered(one) for one in places], place)
    else:
        assert [one.place for one in _unbroken([delivered(one) for one in places], place)] == unbroken
