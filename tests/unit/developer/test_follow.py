"""Following a log by its last lines shows each line once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.cli.follow import lines_behind


@given(old=st.lists(st.text(), max_size=8, unique=True), new=st.lists(st.text(), max_size=8), kept=st.integers(1, 8))
def test_each_new_line_is_shown_once(old: list[str], new: list[str], kept: int) -> None:
    new = [f"{number} {line}" for number, line in enumerate(new)]
    old = [f"before {line}" for line in old]
    before, now = old[-kept:], (old + new)[-kept:]
    assert list(lines_behind(before, now)) == new[-kept:]
