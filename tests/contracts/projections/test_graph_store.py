"""The contract of every graph store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pcloud.errors import Corrupt, Rejected
from pcloud.event import Change, Kind
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.checkpoint import START
from projections.graph.contract import (
    Aggregate,
    Child,
    Compare,
    Every,
    Filter,
    GraphStore,
    Group,
    Has,
    HasRelated,
    IdIn,
    Invert,
    Order,
    ReadBudget,
    Select,
    Some,
)  # fmt: skip
from tests.contracts.projections.shelf import (
    BOOK,
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
)  # fmt: skip

A, B, C = (f"{BOOK}/{id}" for id in "abc")


@pytest.fixture
def log() -> Log:
    log = Log()
    log.install("shelf", SHELF)
    return log


async def fold(graph: GraphStore, log: Log) -> None:
    await graph.apply(EPOCH, log.events)


async def ids(
    graph: GraphStore, filter: Filter | None = None, *order: Order, type: str = BOOK, **page: Any
) -> list[str]:
    return [row["id"] for row in await graph.fetch(Select(type, ("id",), filter=filter, order=order, **page))]


async def related(graph: GraphStore, type: str, field: str, id: str) -> tuple[str, ...]:
    return (await graph.related(type, field, [id]))[id]


# --- folding ---------------------------------------------------------------------------------------------------------------------


async def test_the_checkpoint_moves_with_the_events(graph: GraphStore, log: Log) -> None:
    assert graph.checkpoint == START
    await fold(graph, log)
    log.write(create(A, title="One"))
    checkpoint = await graph.apply(EPOCH, log.events)
    assert checkpoint == graph.checkpoint
    assert (checkpoint.epoch, checkpoint.sequence) == (EPOCH, 2)
    assert checkpoint.hash == sum(event.digest for event in log.events) % 2**256


async def test_another_epoch_is_refused(graph: GraphStore, log: Log) -> None:
    await fold(graph, log)
    with pytest.raises(Corrupt):
        await graph.apply("another", log.write(create(A)))


async def test_events_delivered_twice_change_nothing(graph: GraphStore, log: Log) -> None:
    log.write(create(A, title="One"))
    log.write(update(A, title="Two"))
    await fold(graph, log)
    before = await graph.dump()
    await graph.apply(EPOCH, log.events[-2:])
    assert await graph.dump() == before


async def test_every_kind_of_value_comes_back_as_it_was(graph: GraphStore, log: Log) -> None:
    values = {
        "title": "Größe “x” \\ 😀", "pages": -3, "size": 2**62 + 1, "price": 0.1 + 0.2, "sold": True,
        "printed": "2024-05-01T10:00:00.000Z", "genre": "POEM", "tags": ["a", 'b"', ""], "scores": [1.0, 1 / 3, -2.5e-300],
    }  # fmt: skip
    log.write(create(A, **values))
    log.write(create(B, sold=False, tags=[]))
    await fold(graph, log)
    rows = await graph.fetch(Select(BOOK, ("id", *values), order=(Order("id"),), version=True))
    assert rows[0] == {"id": "a", **values, "_version": 2}
    assert rows[1] == {"id": "b", **dict.fromkeys(values), "sold": False, "tags": [], "_version": 3}
    assert [type(rows[0][name]) for name in ("sold", "price", "pages")] == [bool, float, int]


async def test_set_and_unset_change_only_what_they_name(graph: GraphStore, log: Log) -> None:
    log.write(create(A, title="One", pages=3, price=2))
    log.write(update(A, unset=["title"], pages=4))
    await fold(graph, log)
    assert await graph.fetch(Select(BOOK, ("title", "pages", "price"))) == [{"title": None, "pages": 4, "price": 2.0}]


async def test_a_value_that_does_not_fit_its_field_is_left_out(graph: GraphStore, log: Log) -> None:
    log.write(create(A, title=3, pages="x", size=2**63, sold=1, tags="a", scores=[1, "x"], unknown=1))
    await fold(graph, log)
    fields = ("title", "pages", "size", "sold", "tags", "scores")
    assert await graph.fetch(Select(BOOK, fields)) == [{**dict.fromkeys(fields), "scores": [1.0]}]


async def test_a_link_is_seen_from_both_ends(graph: GraphStore, log: Log) -> None:
    log.write(create(f"{PERSON}/p"), create(f"{THEME}/t"))
    log.write(create(A, {"author": ["p"], "themes": ["t"]}))
    await fold(graph, log)
    assert await related(graph, BOOK, "author", "a") == ("p",)
    assert await related(graph, PERSON, "books", "p") == ("a",)
    assert await related(graph, BOOK, "themes", "a") == ("t",)
    assert await related(graph, THEME, "books", "t") == ("a",)


async def test_links_are_made_after_all_nodes_of_the_transaction(graph: GraphStore, log: Log) -> None:
    log.write(create(A, {"author": ["p"]}), create(f"{PERSON}/p"))
    await fold(graph, log)
    assert await related(graph, BOOK, "author", "a") == ("p",)


async def test_a_link_to_a_missing_entity_folds_to_nothing_for_good(graph: GraphStore, log: Log) -> None:
    log.write(create(A, {"author": ["p"], "themes": ["t"]}))
    log.write(create(f"{PERSON}/p"), create(f"{THEME}/t"))
    await fold(graph, log)
    assert await related(graph, BOOK, "author", "a") == ()
    assert await related(graph, BOOK, "themes", "a") == ()


async def test_a_to_one_link_replaces_the_earlier_one(graph: GraphStore, log: Log) -> None:
    log.write(create(f"{PERSON}/p"), create(f"{PERSON}/q"), create(A, {"author": ["p"]}))
    log.write(update(A, {"author": ["q"]}))
    await fold(graph, log)
    assert await related(graph, PERSON, "books", "p") == ()
    assert await related(graph, PERSON, "books", "q") == ("a",)


async def test_unlink_takes_away_only_the_link_that_it_names(graph: GraphStore, log: Log) -> None:
    log.write(create(f"{PERSON}/p"), create(f"{THEME}/t"), create(f"{THEME}/u"))
    log.write(create(A, {"author": ["p"], "themes": ["t", "u"]}))
    log.write(update(A, unlink={"author": ["q"], "themes": ["u"]}))
    await fold(graph, log)
    assert await related(graph, BOOK, "author", "a") == ("p",)
    assert await related(graph, BOOK, "themes", "a") == ("t",)
    await graph.apply(EPOCH, log.write(update(A, unlink={"author": ["p"]})))
    assert await related(graph, BOOK, "author", "a") == ()


async def test_a_one_to_one_link_takes_its_target_from_the_earlier_holder(graph: GraphStore, log: Log) -> None:
    log.write(create(A), create(B), create(C))
    log.write(update(A, {"sequel": ["c"]}))
    await fold(graph, log)
    await graph.apply(EPOCH, log.write(update(B, {"sequel": ["c"]})))
    assert await related(graph, BOOK, "sequel", "a") == ()
    assert await related(graph, BOOK, "prequel", "c") == ("b",)


async def test_a_relation_that_is_its_own_inverse_holds_both_ways(graph: GraphStore, log: Log) -> None:
    p, q = f"{PERSON}/p", f"{PERSON}/q"
    log.write(create(p), create(q, {"friends": ["p"]}))
    await fold(graph, log)
    assert await related(graph, PERSON, "friends", "p") == ("q",)
    await graph.apply(EPOCH, log.write(update(p, unlink={"friends": ["q"]})))
    assert await related(graph, PERSON, "friends", "q") == ()


async def test_deleting_takes_the_links_away_and_keeps_the_version(graph: GraphStore, log: Log) -> None:
    log.write(create(f"{PERSON}/p"), create(f"{THEME}/t"), create(A, {"author": ["p"], "themes": ["t"]}))
    log.write(delete(f"{PERSON}/p"), delete(f"{THEME}/t"))
    log.write(create(f"{PERSON}/p"), create(f"{THEME}/t"))
    await fold(graph, log)
    assert await related(graph, BOOK, "author", "a") == ()
    assert await related(graph, BOOK, "themes", "a") == ()
    await graph.apply(EPOCH, log.write(delete(A)))
    node = (await graph.entities([Ref.parse(A)]))[Ref.parse(A)]
    assert (node.exists, node.version) == (False, len(log.events))


async def test_a_catalog_holds_from_its_event_on(graph: GraphStore, log: Log) -> None:
    log.write(update(f"{BOOK}/a", fields={"critic/stars": 1}), create(B, fields={"critic/stars": 1}))
    log.install("critic", CRITIC)
    log.write(create(f"{REVIEW}/r", {"book": ["b"]}, text="fine"))
    log.write(update(B, fields={"critic/stars": 5}))
    log.write(create(C))
    await fold(graph, log)
    rows = await graph.fetch(Select(BOOK, ("critic/stars",), order=(Order("id"),)))
    assert rows == [{"critic/stars": 5}, {"critic/stars": None}]
    assert await related(graph, BOOK, "critic/reviews", "b") == ("r",)


async def test_a_removed_app_leaves_the_catalog_and_its_data_stay(graph: GraphStore, log: Log) -> None:
    log.install("critic", CRITIC)
    log.write(create(A, fields={"critic/stars": 4}), create(B), create(f"{REVIEW}/r", {"book": ["a"]}))
    log.write(create(f"{REVIEW}/s", {"book": ["b"]}))
    log.remove("critic")
    await fold(graph, log)
    assert REVIEW not in graph.catalog.types
    with pytest.raises(Rejected, match="critic/Review"):
        await ids(graph, type=REVIEW)
    with pytest.raises(Rejected, match="critic/stars"):
        await graph.fetch(Select(BOOK, ("critic/stars",)))
    await graph.apply(EPOCH, log.write(delete(A)) + log.install("critic", CRITIC))
    assert await related(graph, REVIEW, "book", "s") == ("b",)
    assert await related(graph, REVIEW, "book", "r") == ()


# --- what writers need -----------------------------------------------------------------------------------------------------------


async def test_nodes_return_versions_values_and_written_links(graph: GraphStore, log: Log) -> None:
    log.write(create(f"{PERSON}/p", name="Ann"), create(f"{THEME}/t"), create(f"{THEME}/s"))
    log.write(create(A, {"author": ["p"], "themes": ["t", "s"]}, title="One"))
    await fold(graph, log)
    a, p, none = Ref.parse(A), Ref.parse(f"{PERSON}/p"), Ref.parse(f"{BOOK}/none")
    nodes = await graph.entities([a, p, none])
    assert (nodes[a].version, nodes[a].exists) == (5, True)
    assert nodes[a].fields == {"title": "One"}
    assert nodes[a].links == {"author": ("p",), "themes": ("s", "t")}
    assert (nodes[p].fields, nodes[p].links) == ({"name": "Ann"}, {})
    assert (nodes[none].version, nodes[none].exists) == (0, False)


async def test_a_transaction_is_remembered_for_ninety_days_of_the_log(graph: GraphStore, log: Log) -> None:
    first = log.write(create(A), create(B), request="abc", result={"add": ["a", "b"]})
    await fold(graph, log)
    known = await graph.transaction(first[0].tx)
    assert known is not None
    assert (known.request, known.revision, known.result) == ("abc", Revision(EPOCH, 3), {"add": ["a", "b"]})
    assert await graph.transaction("0" * 32) is None
    log.now += 90 * 86400 - 1
    await graph.apply(EPOCH, log.write(create(C)))
    assert await graph.transaction(first[0].tx) is not None
    log.now += 10
    await graph.apply(EPOCH, log.write(update(C)))
    assert await graph.transaction(first[0].tx) is None


# --- filters ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def library(graph: GraphStore, log: Log) -> GraphStore:
    log.write(create(f"{PERSON}/p", name="Ann Lee"), create(f"{PERSON}/q", name="Bob"))
    log.write(create(f"{THEME}/t", name="sea"))
    log.write(
        create(
            A, {"author": ["p"], "themes": ["t"]}, title="The Old Sea", pages=10, price=1.5, tags=["x", "y"], sold=True
        )
    )
    log.write(create(B, {"author": ["p"]}, title="the new sea", pages=20, price=2.5, tags=["y"], sold=False))
    log.write(create(C, title="Ärger", blurb="some words here", printed="2024-05-01T10:00:00.000Z", scores=[1.0, 2.0]))
    await fold(graph, log)
    return graph


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Compare("title", "eq", "the new sea"), "b"),
        (Compare("title", "in", ["Ärger", "the new sea", "none"]), "bc"),
        (Compare("title", "in", []), ""),
        (Compare("title", "ge", "the"), "bc"),
        (Compare("title", "regexp", "(?i)^the .* SEA$"), "ab"),
        (Compare("title", "anyofterms", "OLD ärger"), "ac"),
        (Compare("title", "allofterms", "sea, the"), "ab"),
        (Compare("title", "allofterms", "sea new"), "b"),
        (Compare("title", "anyofterms", " -- "), ""),
        (Compare("blurb", "allofterms", "HERE some"), "c"),
        (Compare("blurb", "anyofterms", "nothing"), ""),
        (Compare("pages", "between", (10, 15)), "a"),
        (Compare("pages", "gt", 10), "b"),
        (Compare("pages", "le", 10), "a"),
        (Compare("price", "lt", 2), "a"),
        (Compare("pages", "eq", None), "c"),
        (Compare("sold", "eq", False), "b"),
        (Compare("printed", "between", ("2024", "2025")), "c"),
        (Compare("tags", "eq", "y"), "ab"),
        (Compare("tags", "in", ["x", "z"]), "a"),
        (Compare("tags", "eq", None), "c"),
        (Compare("tags", "anyofterms", "X"), "a"),
        (Compare("scores", "ge", 2.0), "c"),
        (Compare("scores", "eq", 1), "c"),
        (Compare("id", "in", ["a", "c"]), "ac"),
        (IdIn(("c", "b", "zz")), "bc"),
        (IdIn(()), ""),
        (Has("pages"), "ab"),
        (Has("tags"), "ab"),
        (Has("author"), "ab"),
        (Has("themes"), "a"),
        (HasRelated("author", Compare("name", "anyofterms", "ann")), "ab"),
        (HasRelated("author", HasRelated("books", Compare("pages", "eq", 20))), "ab"),
        (HasRelated("themes", Compare("name", "eq", "sea")), "a"),
        (HasRelated("themes", Invert(Compare("name", "eq", "sea"))), ""),
        (Invert(Compare("pages", "eq", 10)), "bc"),
        (Invert(Invert(Compare("pages", "eq", 10))), "a"),
        (Invert(HasRelated("author", Every(()))), "c"),
        (Every((Compare("pages", "ge", 10), Invert(Compare("sold", "eq", True)))), "b"),
        (Some((Compare("pages", "eq", 10), Compare("title", "eq", "Ärger"))), "ac"),
        (Every(()), "abc"),
        (Some(()), ""),
    ],
)  # fmt: skip
async def test_a_filter_passes(library: GraphStore, filter: Filter, expected: str) -> None:
    assert "".join(await ids(library, filter)) == expected


@pytest.mark.parametrize(
    "filter",
    [
        Compare("nope", "eq", 1), Compare("author", "eq", "p"), Compare("pages", "eq", "10"), Compare("pages", "eq", True),
        Compare("title", "regexp", "("), Compare("title", "regexp", "x" * 2000), Compare("pages", "anyofterms", "x"),
        Compare("title", "in", "abc"), Compare("pages", "between", (1,)), Compare("pages", "in", list(range(2000))),
        Has("nope"), HasRelated("title", Every(())), HasRelated("author", Compare("nope", "eq", 1)),
        Compare("pages", "ge", None),
    ],
)  # fmt: skip
async def test_an_invalid_filter_is_rejected(library: GraphStore, filter: Filter) -> None:
    with pytest.raises(Rejected):
        await ids(library, filter)


async def test_a_changed_value_is_found_by_its_new_value(library: GraphStore, log: Log) -> None:
    await library.apply(EPOCH, log.write(update(A, title="The young hill", tags=["x", "z"])))
    await library.apply(EPOCH, log.write(update(B, unset=["title", "tags"])))
    assert await ids(library, Compare("title", "anyofterms", "old new")) == []
    assert await ids(library, Compare("title", "allofterms", "young the")) == ["a"]
    assert await ids(library, Compare("tags", "in", ["y"])) == []
    assert await ids(library, Compare("tags", "in", ["x", "z"])) == ["a"]


# --- orders and pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def shelves(graph: GraphStore, log: Log) -> GraphStore:
    for id, pages in zip("fedcba", (3, None, 1, 2, None, 2), strict=True):
        log.write(create(f"{BOOK}/{id}", pages=pages))
    await fold(graph, log)
    return graph


async def test_missing_values_come_last_and_ids_break_ties(shelves: GraphStore) -> None:
    assert await ids(shelves, None, Order("pages")) == list("dacfbe")
    assert await ids(shelves, None, Order("pages", descending=True)) == list("facdbe")
    assert await ids(shelves, None, Order("id", descending=True)) == list("fedcba")
    assert await ids(shelves) == list("abcdef")


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_by_cursor_show_everything_once(shelves: GraphStore, descending: bool, size: int) -> None:
    order = (Order("pages", descending),)
    whole, found, after = await ids(shelves, None, *order), [], None
    while page := await shelves.fetch(Select(BOOK, ("id",), order=order, first=size, after=after, cursor=True)):
        found += [row["id"] for row in page]
        after = page[-1]["_cursor"]
    assert found == whole


async def test_a_cursor_holds_when_its_row_is_gone(shelves: GraphStore, log: Log) -> None:
    order = (Order("pages"),)
    page = await shelves.fetch(Select(BOOK, ("id",), order=order, first=2, cursor=True))
    await shelves.apply(EPOCH, log.write(delete(A)))
    assert await ids(shelves, None, *order, after=page[-1]["_cursor"]) == list("cfbe")


async def test_offset_and_first_cut_a_page(shelves: GraphStore) -> None:
    assert await ids(shelves, None, first=2, offset=1) == list("bc")
    assert await ids(shelves, None, offset=4) == list("ef")
    assert await ids(shelves, None, first=0) == []


@pytest.mark.parametrize(
    "page",
    [{"after": "garbage"}, {"after": "W10"}, {"first": -1}, {"offset": -1}, {"order": (Order("tags"),)}, {"order": (Order("author"),)}],
)  # fmt: skip
async def test_a_page_that_makes_no_sense_is_rejected(shelves: GraphStore, page: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        await shelves.fetch(Select(BOOK, ("id",), **page))


async def test_a_cursor_of_another_order_is_rejected(shelves: GraphStore) -> None:
    page = await shelves.fetch(Select(BOOK, ("id",), order=(Order("pages"),), first=1, cursor=True))
    with pytest.raises(Rejected, match="order"):
        await shelves.fetch(Select(BOOK, ("id",), order=(Order("price"),), after=page[0]["_cursor"]))


# --- children --------------------------------------------------------------------------------------------------------------------


async def test_children_are_paged_filtered_and_ordered_for_each_parent(library: GraphStore) -> None:
    books = Select(BOOK, ("title",), order=(Order("pages", descending=True),), first=1)
    rows = await library.fetch(Select(PERSON, ("id",), children=(Child("best", "books", books),)))
    assert rows == [{"id": "p", "best": [{"title": "the new sea"}]}, {"id": "q", "best": []}]
    second = Select(BOOK, ("id",), order=(Order("pages"),), offset=1)
    one = Select(PERSON, ("id",), filter=IdIn(("p",)), children=(Child("rest", "books", second),))
    assert await library.fetch(one) == [{"id": "p", "rest": [{"id": "b"}]}]


async def test_children_nest_through_every_kind_of_relation(library: GraphStore) -> None:
    author = Child("author", "author", Select(PERSON, ("name",)))
    books = Child("books", "books", Select(BOOK, ("id",), children=(author,)))
    rows = await library.fetch(
        Select(BOOK, ("id",), children=(Child("themes", "themes", Select(THEME, ("name",), children=(books,))), author))
    )
    ann = {"name": "Ann Lee"}
    assert rows == [
        {"id": "a", "themes": [{"name": "sea", "books": [{"id": "a", "author": ann}]}], "author": ann},
        {"id": "b", "themes": [], "author": ann},
        {"id": "c", "themes": [], "author": None},
    ]


async def test_a_child_that_fails_its_filter_is_null(library: GraphStore) -> None:
    bob = Select(PERSON, ("id",), filter=Compare("name", "eq", "Bob"))
    assert await library.fetch(Select(BOOK, ("id",), filter=IdIn(("a",)), children=(Child("bob", "author", bob),))) == [
        {"id": "a", "bob": None}
    ]


async def test_children_are_aggregated_for_each_parent(library: GraphStore) -> None:
    wanted = (Aggregate("count", "count"), Aggregate("most", "max", "pages"))
    select = Select(BOOK, filter=Compare("pages", "ge", 15))
    rows = await library.fetch(Select(PERSON, ("id",), children=(Child("n", "books", select, wanted),)))
    assert rows == [{"id": "p", "n": {"count": 1, "most": 20}}, {"id": "q", "n": {"count": 0, "most": None}}]


async def test_a_child_of_the_wrong_type_is_rejected(library: GraphStore) -> None:
    with pytest.raises(Rejected):
        await library.fetch(Select(BOOK, children=(Child("author", "author", Select(THEME)),)))


# --- counting --------------------------------------------------------------------------------------------------------------------


async def test_aggregates_leave_missing_values_out(library: GraphStore) -> None:
    wanted = [
        Aggregate("all", "count"), Aggregate("paged", "count", "pages"), Aggregate("low", "min", "price"),
        Aggregate("sum", "sum", "pages"), Aggregate("avg", "avg", "pages"), Aggregate("last", "max", "printed"),
        Aggregate("any", "max", "sold"),
    ]  # fmt: skip
    assert await library.aggregate(BOOK, None, wanted) == {
        "all": 3, "paged": 2, "low": 1.5, "sum": 30, "avg": 15.0, "last": "2024-05-01T10:00:00.000Z", "any": True,
    }  # fmt: skip
    none = await library.aggregate(BOOK, Some(()), wanted)
    assert none == {**dict.fromkeys(("low", "sum", "avg", "last", "any")), "all": 0, "paged": 0}


async def test_groups_come_newest_first_with_the_missing_ones_last(library: GraphStore) -> None:
    assert await library.group(BOOK, None, Group("printed", "month")) == [("2024-05", 1), (None, 2)]
    assert await library.group(BOOK, None, Group("pages")) == [(20, 1), (10, 1), (None, 1)]
    assert await library.group(BOOK, None, Group("pages"), limit=1) == [(20, 1)]
    assert await library.group(BOOK, Compare("sold", "eq", True), Group("sold")) == [(True, 1)]
    with pytest.raises(Rejected):
        await library.group(BOOK, None, Group("tags"))


async def test_names_that_differ_only_in_capitals_are_different(graph: GraphStore, log: Log) -> None:
    from projections.graph.catalog import Catalog, FieldDef, TypeDef

    fields = {name: FieldDef(name, "String", search=("term",)) for name in ("url", "URL", "uRL")}
    log.install("net", Catalog({name: TypeDef(name, fields) for name in ("net/Page", "net/page")}))
    log.write(create("net/Page/a", url="1", URL="2"), create("net/page/a", uRL="3"))
    await fold(graph, log)
    assert await graph.fetch(Select("net/Page", ("url", "URL", "uRL"))) == [{"url": "1", "URL": "2", "uRL": None}]
    assert await graph.fetch(Select("net/page", ("url", "uRL"))) == [{"url": None, "uRL": "3"}]


async def test_a_field_whose_kind_changes_starts_empty(graph: GraphStore, log: Log) -> None:
    from projections.graph.catalog import Catalog, FieldDef, TypeDef

    log.write((A, Kind.CREATED, Change(set={"title": "One", "pages": 3})))
    fields = {**SHELF.types[BOOK].fields, "pages": FieldDef("pages", "String", search=("term",))}
    log.install("shelf", Catalog({**SHELF.types, BOOK: TypeDef(BOOK, fields)}))
    log.write(update(B), create(C, pages="three words"))
    await fold(graph, log)
    rows = await graph.fetch(Select(BOOK, ("id", "title", "pages")))
    assert rows == [{"id": "a", "title": "One", "pages": None}, {"id": "c", "title": None, "pages": "three words"}]
    assert await ids(graph, Compare("pages", "anyofterms", "three")) == ["c"]


# --- an answer's size -------------------------------------------------------------------------------------------------

LETTERS = 10_000


def books(**page: Any) -> tuple[Child, ...]:
    return (Child("books", "books", Select(BOOK, ("title", "blurb"), **page)),)


@pytest.mark.parametrize(
    ("select", "entities"),
    [
        (Select(BOOK, ("blurb",)), 20),
        (Select(BOOK, ("tags",)), 20),
        (Select(BOOK, ("blurb",), first=5, order=(Order("title"),), cursor=True), 5),
        (Select(PERSON, ("name",), children=books()), 20),
        (Select(THEME, ("name",), children=books(first=7, order=(Order("title"),))), 7),
        (Select(REVIEW, ("text",), children=(Child("book", "book", Select(BOOK, ("blurb",))),)), 1),
    ],
)
async def test_an_answer_takes_no_more_than_its_budget(
    graph: GraphStore, log: Log, select: Select, entities: int
) -> None:
    log.install("critic", CRITIC)
    log.write(create(f"{PERSON}/p", name="Ann"), create(f"{THEME}/t", name="Sea"))
    for number in range(20):
        links = {"author": ["p"], "themes": ["t"]}
        tags = [str(tag) * 1000 for tag in range(10)]
        log.write(create(f"{BOOK}/b{number}", links, title=str(number), blurb="x" * LETTERS, tags=tags))
    log.write(create(f"{REVIEW}/r", {"book": ["b0"]}, text="good"))
    await fold(graph, log)
    unbounded = await graph.fetch(select)
    needed = entities * LETTERS
    budget = ReadBudget(2 * needed)
    assert await graph.fetch(replace(select, budget=budget)) == unbounded
    assert needed <= 2 * needed - budget.left < 1.2 * needed + 5_000
    with pytest.raises(Rejected, match=r"would be too large: ask for smaller pages .*or fewer fields"):
        await graph.fetch(replace(select, budget=budget if budget.left < needed else ReadBudget(needed - 1)))
    assert await graph.fetch(select) == unbounded
