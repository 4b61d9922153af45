"""PCloud against its peers, part by part, each at two lengths."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.against_eventsourcing import measure_against_eventsourcing
from bench.against_postgraphile import measure_against_postgraphile
from bench.figures import Figure
from bench.household import HOUSE, SMALL, Household
from bench.peers.setup import set_up_system
from bench.triggers import measure_triggers

__all__ = ["PEERS", "QUICK", "THOROUGH", "Comparison", "Length", "compare"]

PEERS = ("graphql", "events", "triggers")


@dataclass(frozen=True)
class Length:
    """`rounds` of `seconds` with the GraphQL servers; `appends` and `event_rounds` with the event stores; `paces`: how long at so many
    events a second."""

    graph: Household
    log: Household
    rounds: int
    seconds: int
    appends: int
    event_rounds: int
    paces: Mapping[int, float]
    burst: int


THOROUGH = Length(HOUSE, HOUSE, 5, 5, 10_000, 3, {1: 20.0, 10: 10.0, 100: 10.0}, 10_000)
QUICK = Length(SMALL, SMALL, 2, 1, 500, 1, {1: 2.0, 10: 1.0, 100: 1.0}, 1_000)


@dataclass
class Comparison:
    figures: list[Figure] = field(default_factory=list[Figure])
    ratios: dict[str, float] = field(default_factory=dict[str, float])
    trigger_ms: dict[str, float] = field(default_factory=dict[str, float])


def compare(parts: Sequence[str], length: Length, console: Console) -> Comparison:
    found = Comparison()
    if not set(PEERS).intersection(parts):
        return found
    set_up_system()
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        if "graphql" in parts:
            console.print("measuring graphql, against PostGraphile …")
            figures, ratios = measure_against_postgraphile(Path(folder), length.graph, length.rounds, length.seconds)
            found.figures += figures
            found.ratios |= ratios
        if "events" in parts:
            console.print("measuring events, against pyeventsourcing …")
            figures, ratios = measure_against_eventsourcing(length.appends, length.log, length.event_rounds)
            found.figures += figures
            found.ratios |= ratios
        if "triggers" in parts:
            console.print("measuring triggers …")
            figures, found.trigger_ms = measure_triggers(Path(folder), dict(length.paces), length.burst)
            found.figures += figures
    return found
