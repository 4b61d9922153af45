"""`python -m bench [--quick] [--json] [--profile] [--write] [--only NAME]…`: measure on a throw-away node, against peers too, and print."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.developing import measure_developing
from bench.figures import Figure
from bench.growth import measure_growth
from bench.install import measure_install
from bench.memory import measure_empty, measure_full
from bench.mutations import measure_mutations
from bench.peers.comparison import PEERS, QUICK, THOROUGH, Comparison, compare
from bench.pipeline import measure_ingest, measure_upload
from bench.profile import print_profile
from bench.relay import measure_relay
from bench.replay import measure_replay
from bench.report import write_growth, write_table
from bench.view_swap import measure_view_swap
from tests.node_process import BUNDLED, NodeProcess

PARTS = (*PEERS, "memory", "mutations", "upload", "ingest", "install", "developing", "views", "relay", "replay", "full")
# On one node with the five bundled apps; every other part has nodes of its own.
WITH_APPS = {"memory", "mutations", "upload", "ingest"}
# Only when it is asked for: a graph of a million entities takes its time.
LONG = ("growth",)
console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="just bench", description="Measure PCloud's speed and memory on this machine."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="within a minute: the peers alone, on a small graph")
    parser.add_argument(
        "--profile", action="store_true", help="print where the time of one request goes, and nothing else"
    )
    parser.add_argument(
        "--write", action="store_true", help="write table and charts into docs/explanation/performance.md"
    )
    parser.add_argument(
        "--only", action="append", metavar="PART", help=f"only these, of {', '.join((*PARTS, *LONG))}; comma or again"
    )
    options = parser.parse_args()
    if options.profile:
        print_profile()
        return
    wanted = [part for text in options.only or (PEERS if options.quick else PARTS) for part in text.split(",")]
    if unknown := set(wanted).difference((*PARTS, *LONG)):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose of {', '.join((*PARTS, *LONG))}")
    compared = compare(wanted, QUICK if options.quick else THOROUGH, console)
    figures = compared.figures + measure([part for part in wanted if part not in PEERS])
    if options.write and compared.figures:
        write_table(compared.figures, compared.ratios)
    if options.write and "growth" in wanted:
        write_growth([figure for figure in figures if figure.name.endswith(" entities")])
    if options.json:
        print(json.dumps(as_object(figures, compared)))
        return
    table = Table("what", "median", "spread", "goal", box=None)
    for figure in figures:
        table.add_row(*figure.row())
    Console().print(table)


def as_object(figures: list[Figure], compared: Comparison) -> dict[str, Any]:
    """Each figure by its name, then what the comparison comes to."""
    shown: dict[str, Any] = {
        figure.name: {"unit": figure.unit, "median": figure.median, "p99": figure.high, "holds": figure.holds}
        for figure in figures
    }
    rates = {figure.name: figure.median for figure in compared.figures if "/" in figure.unit}
    return shown | {"ratios": compared.ratios, "rates": rates, "trigger_ms": compared.trigger_ms}


def measure(parts: tuple[str, ...] | list[str]) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-") as folder:
        if WITH_APPS.intersection(parts):
            with NodeProcess(Path(folder) / "node") as node:
                console.print("installing the five apps …")
                node.install(*BUNDLED)
                s3 = node.json("device", "pair", "--name", "bench", "--json")["s3"]
                for part in [name for name in parts if name in WITH_APPS]:
                    console.print(f"measuring {part} …")
                    if part == "memory":
                        figures.append(measure_empty(node))
                    elif part == "mutations":
                        figures += measure_mutations(node)
                    elif part == "upload":
                        figures.append(measure_upload(node, s3))
                    elif part == "ingest":
                        figures += measure_ingest(node, s3)
        if "install" in parts:
            console.print("measuring install …")
            with NodeProcess(Path(folder) / "install") as node:
                figures += measure_install(node)
        if "developing" in parts:
            console.print("measuring developing …")
            figures += measure_developing(Path(folder))
        if "views" in parts:
            console.print("measuring views …")
            figures += measure_view_swap()
        if "relay" in parts:
            console.print("measuring relay …")
            figures += measure_relay(Path(folder))
        if "replay" in parts:
            console.print("measuring replay …")
            figures += measure_replay(Path(folder))
        if "growth" in parts:
            console.print("measuring growth …")
            figures += measure_growth()
        if "full" in parts:
            console.print("measuring full …")
            figures.append(measure_full(Path(folder)))
    return figures


if __name__ == "__main__":
    main()
