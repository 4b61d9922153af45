"""SQLite, Neo4j and the plain model give the same answers for any schema, log and query, including order and nulls."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from pcloud.subject import Ref
from projections.graph.catalog import Catalog
from projections.graph.contract import GraphStore, Select
from projections.graph.model import ModelGraph
from projections.graph.neo4j import Neo4jSettings, open_neo4j_graph
from projections.graph.sqlite import open_sqlite_graph
from tests.contracts.projections import schemas
from tests.contracts.projections.shelf import BUILTIN, EPOCH, Log
from tests.neo4j_server import Neo4jServer
from tests.unit.projections import logs as shelf_logs
from tests.waiting import PATIENCE

LIBRARIES = 4
CASES = 120
TOGETHER = 30  # schema, log, where it is cut, and queries, drawn together
LOGS = 15
AT_LENGTH = 10  # times as many, with `just test-all`
Question = Callable[[GraphStore], Awaitable[Any]]
SLOW = settings(suppress_health_check=list(HealthCheck), print_blob=True)


@dataclass(frozen=True)
class Stores:
    """Three stores that have folded the same."""

    schema: schemas.Asked
    model: GraphStore
    others: tuple[GraphStore, ...]

    async def agree(self, ask: Question) -> None:
        expected = await ask(self.model)
        for other in self.others:
            assert roughly(await ask(other)) == roughly(expected), type(other).__name__

    async def fold(self, log: Log, ends: list[int]) -> None:
        for store in (self.model, *self.others):
            start = 0
            for end in ends:
                await store.apply(EPOCH, log.events[start:end])
                start = end
        await self.agree(lambda store: store.dump())


def roughly(value: Any) -> Any:
    """Sums of floats depend on the order of adding."""
    if isinstance(value, dict):
        return {key: roughly(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [roughly(one) for one in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


class Workshop:
    """Opens stores in one event loop, which Hypothesis' examples share."""

    def __init__(self, server: Neo4jServer, folder: Path) -> None:
        self._server, self._folder, self._count = server, folder, 0
        self.runner = asyncio.Runner()
        self._opened: list[GraphStore] = []
        self._again: dict[str, Any] = {}

    async def stores(self, schema: Catalog, space: str, *, kept: bool = False) -> Stores:
        """Empty stores. `kept`: stay open to the end, in a space of their own."""
        self._count += 1
        sqlite = await open_sqlite_graph(self._folder / f"{self._count}.sqlite", BUILTIN)
        if kept or space not in self._again:
            # One log may be folded into several spaces of a server; each test here has its own.
            settings = Neo4jSettings(
                self._server.address, password=self._server.password, space=space, longest_seconds=PATIENCE
            )
            self._again[space] = await open_neo4j_graph(settings, BUILTIN)
            self._opened.append(self._again[space])
        await self._again[space].clear()
        self._opened.append(sqlite)
        return Stores(schemas.Asked(schema.types), ModelGraph(BUILTIN), (sqlite, self._again[space]))

    def close(self) -> None:
        for store in self._opened:
            self.runner.run(store.close())
        self.runner.close()


@pytest.fixture(scope="module")
def workshop(neo4j_server: Neo4jServer) -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(neo4j_server, Path(folder))
        yield workshop
        workshop.close()


@pytest.fixture(scope="module")
def libraries(workshop: Workshop) -> list[Stores]:
    """Stores with data to query, each with a schema of its own."""
    drawn: list[tuple[Catalog, Log]] = []

    @seed(5)
    @settings(SLOW, max_examples=LIBRARIES * 3, database=None, phases=[Phase.generate])
    @given(schemas.schemas().flatmap(lambda schema: st.tuples(st.just(schema), schemas.logs(schema))))
    def draw(library: tuple[Catalog, Log]) -> None:
        drawn.append(library)

    draw()
    richest = sorted(drawn, key=lambda library: -sum(len(one.fields) for one in library[0].types.values()))[:LIBRARIES]

    async def fill() -> list[Stores]:
        filled: list[Stores] = []
        for number, (schema, log) in enumerate(richest):
            stores = await workshop.stores(schema, f"library{number}", kept=True)
            await stores.fold(log, [len(log.events)])
            filled.append(stores)
        return filled

    return workshop.runner.run(fill())


@settings(SLOW, max_examples=CASES)
@given(data=st.data())
def test_every_query_has_one_answer(libraries: list[Stores], workshop: Workshop, data: st.DataObject) -> None:
    stores = data.draw(st.sampled_from(range(len(libraries))).map(libraries.__getitem__))
    workshop.runner.run(stores.agree(data.draw(questions(stores.schema))))


@settings(SLOW, max_examples=TOGETHER)
@given(data=st.data())
def test_every_log_folds_to_one_graph_with_one_answer(workshop: Workshop, data: st.DataObject) -> None:
    schema = data.draw(schemas.schemas())
    log = data.draw(schemas.logs(schema))
    ends = data.draw(shelf_logs.cuts(log))
    asked = data.draw(st.lists(questions(schemas.Asked(schema.types)), min_size=1, max_size=1))
    note("\n".join(f"{one.ref} {one.kind} {one.change}" for one in log.events[1:]))
    workshop.runner.run(folded(workshop, schema, "logs", log, ends, asked))


@settings(SLOW, max_examples=LOGS)
@given(data=st.data())
def test_catalogs_that_come_change_and_go_fold_to_one_graph(workshop: Workshop, data: st.DataObject) -> None:
    log = data.draw(shelf_logs.logs(most=10))
    ends = data.draw(shelf_logs.cuts(log))
    workshop.runner.run(folded(workshop, shelf_logs.ALL, "shelf", log, ends, []))


def at_length(rule: Any, examples: int) -> Any:
    """The same test as a conformance suite."""
    many = settings(SLOW, max_examples=AT_LENGTH * examples)(given(data=st.data())(rule.hypothesis.inner_test))
    return pytest.mark.long(pytest.mark.timeout(3600)(many))


test_every_query_at_length = at_length(test_every_query_has_one_answer, CASES)
test_every_log_at_length = at_length(test_every_log_folds_to_one_graph_with_one_answer, TOGETHER)
test_all_catalogs_at_length = at_length(test_catalogs_that_come_change_and_go_fold_to_one_graph, LOGS)


async def folded(
    workshop: Workshop, schema: Catalog, space: str, log: Log, ends: list[int], asked: list[Question]
) -> None:
    stores = await workshop.stores(schema, space)
    await stores.fold(log, ends)
    for question in asked:
        await stores.agree(question)


@st.composite
def questions(draw: st.DrawFn, schema: schemas.Asked) -> Question:
    type_ = draw(st.sampled_from(list(schema.types)))
    match draw(st.sampled_from(["fetch"] * 6 + ["pages"] * 2 + ["aggregate", "group", "related", "entities"])):
        case "fetch":
            select = draw(schemas.selects(schema, type_))
            note(repr(select))
            return lambda store: store.fetch(select)
        case "pages":
            select = draw(schemas.selects(schema, type_, depth=0))
            note(repr(select))
            return lambda store: pages(store, select)
        case "aggregate":
            filter, wanted = draw(schemas.filters(schema, type_)), draw(schemas.aggregations(schema, type_))
            return lambda store: store.aggregate(type_, filter, wanted)
        case "group":
            filter, by = draw(schemas.filters(schema, type_)), draw(schemas.groupings(schema, type_))
            return lambda store: store.group(type_, filter, by)
        case "related":
            names = [field.name for field in schema.types[type_].fields.values() if field.is_relation]
            return lambda store: all_related(store, type_, names)
        case _:
            refs = [Ref.parse(f"{name}/{id}") for name in schema.types for id in schemas.IDS]
            return lambda store: store.entities(refs)


async def pages(store: GraphStore, select: Select) -> list[Any]:
    """Everything, page after page."""
    found: list[Any] = []
    question = replace(select, first=2, offset=0, cursor=True)
    while rows := await store.fetch(question):
        found += rows
        question = replace(question, after=rows[-1]["_cursor"])
    return found


async def all_related(store: GraphStore, type: str, names: list[str]) -> list[Any]:
    return [await store.related(type, name, schemas.IDS) for name in names]
