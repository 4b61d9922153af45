"""`python -m bench [--json] [--only NAME]…`: measure on a throw-away node and print."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.install import measure_install
from bench.memory import measure_empty, measure_full
from bench.mutations import measure_mutations
from bench.pipeline import measure_ingest, measure_upload
from bench.relay import measure_relay
from bench.replay import measure_replay
from bench.view_swap import measure_view_swap
from tests.node_process import BUNDLED, NodeProcess

PARTS = ("memory", "mutations", "upload", "ingest", "install", "views", "relay", "replay", "full")
# On one node with the five bundled apps; every other part has nodes of its own.
WITH_APPS = {"memory", "mutations", "upload", "ingest"}
console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="just bench", description="Measure PCloud's speed and memory on this machine."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--only", action="append", metavar="PART", help=f"only these, of {', '.join(PARTS)}; comma or again"
    )
    options = parser.parse_args()
    wanted = [part for text in options.only or PARTS for part in text.split(",")]
    if unknown := set(wanted).difference(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    figures = measure(wanted)
    if options.json:
        shown = {
            figure.name: {"unit": figure.unit, "median": figure.median, "p99": figure.high, "holds": figure.holds}
            for figure in figures
        }
        print(json.dumps(shown))
        return
    table = Table("what", "median", "spread", "goal", box=None)
    for figure in figures:
        table.add_row(*figure.row())
    Console().print(table)


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
        if "views" in parts:
            console.print("measuring views …")
            figures += measure_view_swap()
        if "relay" in parts:
            console.print("measuring relay …")
            figures += measure_relay(Path(folder))
        if "replay" in parts:
            console.print("measuring replay …")
            figures += measure_replay(Path(folder))
        if "full" in parts:
            console.print("measuring full …")
            figures.append(measure_full(Path(folder)))
    return figures


if __name__ == "__main__":
    main()
