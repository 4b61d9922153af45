"""The places of an Image's bytes, after any uploads, copies and overwrites."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from image_importer.places import Arrival, Known, arrive

# A busy machine is not a failure.


def test_new_bytes_make_an_image() -> None:
    assert arrive("b/1", "aa", []) == Arrival(("b/1",))


def test_the_same_bytes_at_the_same_place_change_nothing() -> None:
    assert arrive("b/1", "aa", [Known("i", "aa", ("b/1",))]) == Arrival(None)


def test_the_same_bytes_elsewhere_are_one_image_at_the_newest_place() -> None:
    assert arrive("b/2", "aa", [Known("i", "aa", ("b/1",))]) == Arrival(("b/1", "b/2"))


def test_an_overwritten_image_is_deleted_without_another_place() -> None:
    only, also = Known("i", "aa", ("b/1",)), Known("j", "bb", ("b/0", "b/1"))
    assert arrive("b/1", "cc", [only]) == Arrival(("b/1",), gone=("i",))
    assert arrive("b/1", "cc", [also]) == Arrival(("b/1",), moved=(("j", ("b/0",)),))


@given(st.lists(st.tuples(st.sampled_from(["b/1", "b/2", "b/3"]), st.sampled_from(["aa", "bb", "cc"])), max_size=30))
def test_every_place_belongs_to_the_image_last_stored_there(uploads: list[tuple[str, str]]) -> None:
    graph: dict[str, tuple[str, ...]] = {}  # sha256 → places
    store: dict[str, str] = {}
    for place, sha256 in uploads:
        store[place] = sha256
        arrival = arrive(place, sha256, [Known(known, known, places) for known, places in graph.items()])
        graph.update(arrival.moved)
        for gone in arrival.gone:
            del graph[gone]
        if arrival.places is not None:
            graph[sha256] = arrival.places
    assert {place: sha256 for sha256, places in graph.items() for place in places} == store
    assert sum(len(places) for places in graph.values()) == len(store)
