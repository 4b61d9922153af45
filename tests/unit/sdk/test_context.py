"""The newest revision wins, whatever order the answers come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pcloud.context import Seen


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_the_newest_of_one_log_is_kept(sequences: list[int]) -> None:
    seen = Seen()
    for sequence in sequences:
        seen.note(f"epoch.{sequence}")
    assert seen.revision == f"epoch.{max(sequences)}"


def test_another_log_replaces_it_and_rubbish_does_not() -> None:
    seen = Seen("old.9")
    seen.note("new.2")
    seen.note("rubbish")
    seen.note("")
    assert seen.revision == "new.2"
