"""PCloud against its peers and as it grows, part by part, each at two lengths."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.against_eventsourcing import measure_against_eventsourcing
from bench.against_postgraphile import measure_against_postgraphile
from bench.figures import Figure
from bench.growth import measure_growth
from bench.household import HOUSE, SMALL, Household
from bench.peers.setup import set_up_system
from bench.refolding import NO_NEO4J
from bench.triggers import measure_triggers

__all__ = ["PEERS", "QUICK", "RATES", "THOROUGH", "Comparison", "Length", "compare"]

PEERS = ("graphql", "events", "triggers")
RATES = {
    "get": "get by id, PCloud", "nested": "50 images with segments with person, PCloud", "create": "durable create, PCloud",
    "append": "append, PCloud", "rebuild_sqlite": "rebuild of the graph on SQLite", "rebuild_neo4j": "rebuild of the graph on Neo4j",
    "rebuild_search": "rebuild of search",
}  # fmt: skip


@dataclass(frozen=True)
class Length:
    """`rounds` of `seconds` with the GraphQL servers; `appends` and `event_rounds` with the event stores; `paces`:
    seconds by events a second; `sizes`: the numbers of entities in a graph."""

    graph: Household
    rounds: int
    seconds: int
    appends: int
    event_rounds: int
    paces: Mapping[int, float]
    burst: int
    sizes: tuple[int, ...]
    neo4j: bool = True

    def said(self) -> str:
        house = self.graph
        return (
            f"A graph of {house.images:,} images, {house.segments:,} segments and {house.people} people. Requests: {self.rounds} rounds "
            f"of {self.seconds} s for each kind and each side. Events: {self.event_rounds} rounds, each of {self.appends:,} appends and "
            f"the rebuilds of {house.entities:,} events; Neo4j once. Triggers: "
            f"{', '.join(f'{seconds:g} s at {pace}/s' for pace, seconds in self.paces.items())}, a burst of {self.burst:,}."
        )


THOROUGH = Length(
    HOUSE, 5, 4, 3_000, 3, {1: 20.0, 10: 10.0, 100: 10.0}, 10_000, (10_000, 100_000, 1_000_000)
)  # fmt: skip
QUICK = Length(SMALL, 1, 1, 500, 1, {1: 2.0, 10: 1.0, 100: 1.0}, 1_000, (2_000, 10_000), neo4j=False)


@dataclass
class Comparison:
    """`growth` has a table of its own."""

    figures: list[Figure] = field(default_factory=list[Figure])
    growth: list[Figure] = field(default_factory=list[Figure])
    ratios: dict[str, float] = field(default_factory=dict[str, float])
    trigger_ms: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def rates(self) -> dict[str, float | None]:
        """The measured rates of `RATES`; None for those that could not be measured."""
        medians = {one.name: one.median if one.values else None for one in self.figures}
        return {key: medians[name] for key, name in RATES.items() if name in medians}


def compare(parts: Sequence[str], length: Length, console: Console) -> Comparison:
    found = Comparison()
    if set(PEERS).intersection(parts):
        set_up_system()
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        for part in (one for one in (*PEERS, "growth") if one in parts):
            console.print(f"measuring {part} …")
            began = time.monotonic()
            measure_part(part, length, Path(folder), found, console)
            console.print(f"  took {time.monotonic() - began:.0f} s")
    return found


def measure_part(part: str, length: Length, folder: Path, found: Comparison, console: Console) -> None:
    ratios: dict[str, float] = {}
    if part == "graphql":
        figures, ratios = measure_against_postgraphile(folder, length.graph, length.rounds, length.seconds)
    elif part == "events":
        figures, ratios = measure_against_eventsourcing(
            length.appends, length.graph, length.event_rounds, neo4j=length.neo4j
        )
        if length.neo4j and any(one.name == RATES["rebuild_neo4j"] and not one.values for one in figures):
            console.print(f"  not measured, the rebuild on Neo4j: {NO_NEO4J}")
    elif part == "triggers":
        figures, found.trigger_ms = measure_triggers(folder, dict(length.paces), length.burst)
    else:
        found.growth = measure_growth(length.sizes)
        return
    found.figures += figures
    found.ratios |= ratios
