"""GraphQL over HTTP against PostGraphile 5 on PostgreSQL: the same graph, the same requests, the same durability,
alternating.

The result is requests per second of processor time, summed over all serving processes: on one side the node with its
log and every view that it folds, on the other side PostGraphile with PostgreSQL. The load comes from a separate process
and is not counted.
"""

from __future__ import annotations

from pathlib import Path

from bench.figures import Figure
from bench.graph_servers import GraphServer, open_pcloud, open_postgraphile
from bench.household import Household
from bench.load import Load, run_load
from bench.processor_time import processor_seconds

__all__ = ["CONNECTIONS", "measure_against_postgraphile"]

CONNECTIONS = {"get": 8, "nested": 8, "create": 64}
WARM = 10  # seconds of each kind of request before any is counted: Node.js needs that long to compile what is hot
BOUNDS = {"get": 2.0, "nested": 5.0, "create": 1.5}
SAID = {"get": "get by id", "nested": "50 images with segments with person", "create": "durable create"}


def measure_against_postgraphile(
    folder: Path, house: Household, rounds: int, seconds: int
) -> tuple[list[Figure], dict[str, float]]:
    """Figures, and the ratios by kind of request."""
    found: dict[tuple[str, str], list[tuple[float, Load]]] = {}
    with open_postgraphile(house) as theirs, open_pcloud(folder, house) as (ours, _):
        for kind in CONNECTIONS:
            for server in (ours, theirs):
                block(server, kind, 1, look=True)  # every answer is checked
                block(server, kind, min(WARM, 3 * seconds))
            for _ in range(rounds):
                for server in (ours, theirs):
                    found.setdefault((server.name, kind), []).append(block(server, kind, seconds))
    figures: list[Figure] = []
    ratios: dict[str, float] = {}
    for kind in CONNECTIONS:
        rates = {name: tuple(rate for rate, _ in found[name, kind]) for name in (ours.name, theirs.name)}
        for name in (ours.name, theirs.name):
            loads = [load for _, load in found[name, kind]]
            said = f"{SAID[kind]}, {name}"
            figures.append(Figure(said, "requests/cpu-s", rates[name]))
            figures.append(
                Figure(f"{said}, by the clock", "requests/s", tuple(one.requests / one.seconds for one in loads))
            )
            figures.append(Figure(f"{said}, answer's time (median)", "ms", tuple(one.p50 for one in loads)))
        each = tuple(our / their for our, their in zip(rates[ours.name], rates[theirs.name], strict=True))
        figures.append(Figure(f"{SAID[kind]}: PCloud ÷ PostGraphile", "×", each, BOUNDS[kind], least=True))
        ratios[kind] = figures[-1].median
    return figures, ratios


def block(server: GraphServer, kind: str, seconds: int, *, look: bool = False) -> tuple[float, Load]:
    """Requests per second of the server's processor time, and the load."""
    before = processor_seconds(server.processes)
    load = run_load(
        server.url,
        server.bodies[kind],
        connections=CONNECTIONS[kind],
        seconds=seconds,
        headers=server.headers,
        look=look,
    )
    return load.requests / (processor_seconds(server.processes) - before), load
