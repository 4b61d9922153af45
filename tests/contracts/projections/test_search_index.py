"""The contract of every search index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcloud.errors import Corrupt, Rejected
from projections.graph.contract import Select
from projections.graph.sqlite import open_sqlite_graph
from projections.search.contract import FacetCount, Range, SearchIndex, SearchQuery, SearchResult
from projections.search.searched_fields import find_searched_types
from projections.search.tantivy import open_tantivy_search
from tests.contracts.projections.conftest import Fold
from tests.contracts.projections.shelf import (
    BOOK,
    BUILTIN,
    CRITIC,
    EPOCH,
    PERSON,
    REVIEW,
    SHELF,
    THEME,
    Log,
    create,
    delete,
    update,
)

A, B, C = (f"{BOOK}/{id}" for id in "abc")
OWN = frozenset({"title", "pages", "price", "sold", "printed", "genre", "tags"})
ALL = {BOOK: OWN | {"author.name", "themes.name"}, PERSON: frozenset({"name"})}


@pytest.fixture
async def log(fold: Fold) -> Log:
    log = Log()
    await fold(log.install("shelf", SHELF))
    return log


@pytest.fixture
async def library(log: Log, fold: Fold) -> Log:
    log.write(create(f"{PERSON}/p", name="Anna Karenina"), create(f"{PERSON}/q", name="Bob"))
    log.write(create(f"{THEME}/t", name="voyages"))
    printed = "2023-12-31T23:30:00.000Z"
    log.write(create(A, {"themes": ["t"]}, title="The Old Sea", pages=10, price=-1.5, sold=True, printed=printed))
    log.write(create(B, title="A new seaside hôtel", pages=20, price=2.5, genre="POEM", tags=["x", "y"]))
    log.write(create(C, title="Ärger", pages=30, genre="POEM", tags=["y"], printed="2024-05-01T10:00:00.000Z"))
    await fold(log.events)
    return log


async def find(index: SearchIndex, text: str = "", types: Any = ALL, **more: Any) -> SearchResult:
    return await index.search(SearchQuery(text, types, **more))


async def ids(index: SearchIndex, text: str = "", types: Any = ALL, **more: Any) -> str:
    result = await find(index, text, types, **more)
    found = [hit.ref.id for hit in result.hits]
    if not {"first", "offset"} & more.keys():
        assert result.total == len(found)
    return "".join(found if "order" in more else sorted(found))


# --- words -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("old", "a"), ("OLD SEA", "a"), ("sea old", "a"), ("old new", ""), ("sea", "ab"), ("seas", "b"), ("sea the", "a"),
        ("arger", "c"), ("ÄRGER", "c"), ("hotel", "b"), ("seaside-hotel!", "b"), ("seasude", "b"), ("seasde hotel", "b"),
        ("saeside", "b"), ("seazude", ""), ("odl", ""), ("ann", "p"), ("anna kar", "p"), ("kareniina", "p"), ("karnia", ""),
        ("nothing", ""), ("...", "abcpq"), ("", "abcpq"),
    ],
)  # fmt: skip
async def test_words_are_found(index: SearchIndex, library: Log, text: str, expected: str) -> None:
    assert await ids(index, text) == expected


async def test_a_whole_word_ranks_above_its_beginning(index: SearchIndex, library: Log) -> None:
    result = await find(index, "sea")
    assert [hit.ref.id for hit in result.hits] == ["a", "b"]
    assert result.hits[0].score > result.hits[1].score


@pytest.mark.parametrize("text", ["x" * 2000, "a b c d e f g h i j k l m n o p q r s"])
async def test_too_long_a_text_is_rejected(index: SearchIndex, library: Log, text: str) -> None:
    with pytest.raises(Rejected):
        await find(index, text)


# --- what a caller may see --------------------------------------------------------------------------------------------


async def test_only_the_given_types_and_fields_are_matched(index: SearchIndex, library: Log) -> None:
    assert await ids(index, "old", {BOOK: OWN - {"title"}}) == ""
    assert await ids(index, "anna", {BOOK: ALL[BOOK]}) == ""
    assert await ids(index, "voyages", {BOOK: OWN}) == ""
    assert await ids(index, "", {}) == ""
    assert await ids(index, "", {"no/Type": frozenset({"name"})}) == ""


async def test_filtering_and_counting_by_a_field_that_is_not_given_is_rejected(
    index: SearchIndex, library: Log
) -> None:
    less = {BOOK: OWN - {"pages", "printed"}, PERSON: frozenset({"name"})}
    for more in (
        {"facets": {"pages": ("10",)}}, {"ranges": {"pages": Range(1, 2)}}, {"count": ("pages",)}, {"order": "printed"},
        {"count": ("printed_year",)}, {"facets": {"printed_year": ("2024",)}},
    ):  # fmt: skip
        with pytest.raises(Rejected):
            await find(index, "", less, **more)


async def test_counts_leave_out_types_whose_field_is_not_given(index: SearchIndex, library: Log) -> None:
    result = await find(index, "", {PERSON: frozenset({"name"}), BOOK: frozenset({"title"})}, count=("name",))
    assert {one.value for one in result.facets["name"]} == {"Anna Karenina", "Bob"}
    result = await find(index, "", {PERSON: frozenset(), THEME: frozenset({"name"})}, count=("name",))
    assert result.facets == {"name": [FacetCount("voyages", 1)]}


# --- related entities ------------------------------------------------------------------------------------------------------------


async def test_a_parent_is_found_by_its_parts(index: SearchIndex, library: Log, fold: Fold) -> None:
    books = {BOOK: ALL[BOOK]}
    assert await ids(index, "voyages", books) == "a"
    await fold(library.write(update(f"{THEME}/t", name="whales")))
    assert (await ids(index, "voyages", books), await ids(index, "whales", books)) == ("", "a")
    await fold(library.write(update(B, {"themes": ["t"]}), update(A, unlink={"themes": ["t"]})))
    assert await ids(index, "whales", books) == "b"
    await fold(library.write(delete(f"{THEME}/t")))
    assert await ids(index, "whales", books) == ""


async def test_a_part_that_moves_is_found_only_with_its_new_whole(index: SearchIndex, library: Log, fold: Fold) -> None:
    people = {PERSON: frozenset({"name", "books.title"})}
    await fold(library.write(update(A, {"author": ["p"]})))
    assert await ids(index, "old sea", people) == "p"
    await fold(library.write(update(A, {"author": ["q"]})))
    assert await ids(index, "old sea", people) == "q"
    await fold(library.write(delete(A)))
    assert await ids(index, "old sea", people) == ""


async def test_a_part_is_not_found_by_its_whole(index: SearchIndex, library: Log, fold: Fold) -> None:
    await fold(library.write(update(A, {"author": ["p"]})))
    assert await ids(index, "anna", {BOOK: ALL[BOOK]}) == ""


# --- filters, counts, order -------------------------------------------------------------------------------------------


async def test_facets_filter_and_are_counted_among_the_rest(index: SearchIndex, library: Log) -> None:
    books = {BOOK: ALL[BOOK]}
    result = await find(index, "", books, count=("genre", "tags", "pages", "printed_year", "printed_month", "sold"))
    assert result.facets == {
        "genre": [FacetCount("POEM", 2)],
        "tags": [FacetCount("y", 2), FacetCount("x", 1)],
        "pages": [FacetCount("10", 1), FacetCount("20", 1), FacetCount("30", 1)],
        "printed_year": [FacetCount("2023", 1), FacetCount("2024", 1)],
        "printed_month": [FacetCount("2023-12", 1), FacetCount("2024-05", 1)],
        "sold": [FacetCount("true", 1)],
    }
    assert await ids(index, "", books, facets={"tags": ("x", "none")}) == "b"
    assert await ids(index, "", books, facets={"tags": ("x", "y"), "pages": ("30",)}) == "c"
    assert await ids(index, "", books, facets={"tags": ()}) == ""
    result = await find(index, "arger", books, count=("tags",))
    assert result.facets == {"tags": [FacetCount("y", 1)]}


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"pages": Range(10, 20)}, "ab"), ({"pages": Range(low=11)}, "bc"), ({"pages": Range()}, "abc"),
        ({"price": Range(-1.5, 0)}, "a"), ({"price": Range(high=2)}, "a"), ({"price": Range(-1.4, 2.5)}, "b"),
        ({"printed": Range("2024-01-01T00:00:00Z", None)}, "c"),
        ({"printed": Range("2024-01-01T00:00:00+01:00", "2024-01-01T00:30:00+01:00")}, "a"),
        ({"pages": Range(10, 20), "price": Range(0, 9)}, "b"), ({"pages": Range(20, 10)}, ""),
        ({"pages": Range(9.5, 2**70)}, "abc"), ({"price": Range(-1.5, -1.5)}, "a"),
    ],
)  # fmt: skip
async def test_ranges_filter(index: SearchIndex, library: Log, ranges: dict[str, Range], expected: str) -> None:
    assert await ids(index, "", {BOOK: OWN}, ranges=ranges) == expected


@pytest.mark.parametrize("range", [Range("x"), Range(True), Range([1]), Range(2**5000), Range(float("nan"))])
async def test_a_range_of_another_kind_is_rejected(index: SearchIndex, library: Log, range: Range) -> None:
    with pytest.raises(Rejected):
        await find(index, "", {BOOK: OWN}, ranges={"pages": range})
    with pytest.raises(Rejected):
        await find(index, "", {BOOK: OWN}, ranges={"printed": range})


async def test_an_order_puts_the_newest_first_and_the_missing_last(index: SearchIndex, library: Log) -> None:
    assert await ids(index, "", {BOOK: OWN}, order="printed") == "cab"
    assert await ids(index, "", order="pages", first=2) == "cb"
    assert await ids(index, "", order="pages", first=2, offset=1) == "ba"
    assert await ids(index, "", {BOOK: OWN}, order="price") == "bac"


async def test_pages_of_hits_follow_each_other(index: SearchIndex, library: Log) -> None:
    whole = [hit.ref.id for hit in (await find(index, "")).hits]
    pages = [(await find(index, "", first=2, offset=offset)).hits for offset in (0, 2, 4)]
    assert [hit.ref.id for page in pages for hit in page] == whole
    assert (await find(index, "", first=0)).total == 5
    with pytest.raises(Rejected):
        await find(index, "", first=20_000)


# --- folding ---------------------------------------------------------------------------------------------------------------------


async def test_changed_and_deleted_entities_are_found_as_they_are(index: SearchIndex, library: Log, fold: Fold) -> None:
    await fold(library.write(update(A, title="Mountains"), delete(B)))
    assert await ids(index, "sea") == ""
    assert await ids(index, "mountains") == "a"
    assert await ids(index) == "acpq"


async def test_the_checkpoint_moves_with_every_event(index: SearchIndex, library: Log, fold: Fold) -> None:
    await fold(library.write(update(A, blurb="not searched")))
    assert index.checkpoint.sequence == len(library.events)
    assert index.checkpoint.hash == sum(event.digest for event in library.events) % 2**256


async def test_fields_that_a_new_app_marks_are_searched_too(index: SearchIndex, library: Log, fold: Fold) -> None:
    await fold(library.install("critic", CRITIC))
    await fold(
        library.write(
            update(A, fields={"critic/stars": 5}), create(f"{REVIEW}/r", {"book": ["a"]}, text="Breathtaking")
        )
    )
    types = {BOOK: frozenset({"critic/stars", "critic/reviews.text"})}
    assert await ids(index, "breathtaking", types) == "a"
    result = await find(index, "", types, count=("critic/stars",))
    assert result.facets == {"critic/stars": [FacetCount("5", 1)]}


async def test_a_field_that_is_marked_later_is_indexed_then(index: SearchIndex, library: Log, fold: Fold) -> None:
    from projections.graph.catalog import Catalog, FieldDef, TypeDef

    await fold(library.write(update(C, blurb="Foreword")))
    fields = {**SHELF.types[BOOK].fields, "blurb": FieldDef("blurb", "String", search=("fulltext",))}
    await fold(library.install("shelf", Catalog({**SHELF.types, BOOK: TypeDef(BOOK, fields)})))
    assert await ids(index, "foreword", {BOOK: frozenset({"blurb"})}) == "c"


async def test_another_epoch_is_refused(index: Any, library: Log) -> None:
    with pytest.raises(Corrupt):
        await index.apply("another", library.events)


def test_only_marked_fields_are_planned() -> None:
    searched_type = find_searched_types(SHELF)[BOOK]
    assert "blurb" not in searched_type.fields
    assert {"themes.name", "sequel.title"} <= searched_type.fields.keys()
    assert not searched_type.fields["isbn"].text  # by hash: found as a whole, by filters


ODD = [
    {"title": "x" * 900_000}, {"title": " ".join(f"w{number}" for number in range(50_000))}, {"tags": ["x" * 900_000]},
    {"title": "a\0b", "tags": ["\0", ""]}, {"printed": "yesterday"}, {"printed": "0000-00-00T00:00:00.000Z"},
    {"pages": 10**30, "size": -(2**63)}, {"price": 10**400}, {"price": float("inf")}, {"scores": [10**400, 1]},
    {"title": {"a": 1}, "pages": [1], "tags": "x", "sold": "yes", "genre": "NONE", "printed": 5},
]  # fmt: skip


@pytest.mark.parametrize("fields", ODD, ids=[f"{number}-{'-'.join(one)}" for number, one in enumerate(ODD)])
async def test_no_value_on_the_log_stops_the_fold(
    index: SearchIndex, library: Log, fold: Fold, fields: dict[str, Any]
) -> None:
    """Writers are checked; if the log still has a bad value, it must not keep other apps' entities out of the index."""
    await fold(library.write(create(f"{BOOK}/odd", fields=fields), create(f"{THEME}/odd", name="odd")))
    await fold(library.write(create(f"{BOOK}/next", title="next one")))
    assert await ids(index, "next") == "next"


async def test_no_query_to_the_graph_is_too_long_for_the_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are refused what takes seconds; if the index were refused, it could never pass that entity."""
    monkeypatch.setattr("projections.graph.sqlite.connection._STEPS", 1)
    log, select = Log(), Select(BOOK, ("id", "title"))
    graph = await open_sqlite_graph(tmp_path / "graph.sqlite", BUILTIN)
    index = await open_tantivy_search(tmp_path / "search", graph)
    try:
        log.install("shelf", SHELF)
        log.write(create(f"{THEME}/t", name="sea"), create(A, {"themes": ["t"]}, title="old"))
        await graph.apply(EPOCH, log.events)
        for bound in ("INLINE_SECONDS", "LONGEST_SECONDS"):
            monkeypatch.setattr(f"projections.graph.sqlite.store.{bound}", 1e-9)
        with pytest.raises(Rejected, match="longer"):
            await graph.fetch(select)
        assert await graph.fetch(select, patient=True) == [{"id": "a", "title": "old"}]
        await index.apply(EPOCH, log.events)
        assert await ids(index, "sea") == "a"
    finally:
        await index.close()
        await graph.close()
