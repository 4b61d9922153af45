from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from photos.recent import Recent


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=40))
def test_what_is_kept_weighs_no_more_than_the_bound_and_the_newest_stays(puts: list[tuple[str, int]]) -> None:
    recent = Recent[int](10, int)
    for name, weight in puts:
        recent.put(name, weight)
        kept = {name: recent.get(name) for name in "abcdef"}
        assert sum(weight for weight in kept.values() if weight) <= 10
        assert kept[name] == (weight if weight <= 10 else None)


def test_what_was_used_last_stays() -> None:
    recent = Recent[int](2, lambda _: 1)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.get("a")
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
