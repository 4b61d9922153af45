"""`python -m bench [--quick] [--json] [--profile] [--write] [--only NAME]…`: measure on a throw-away node, against peers too, and print."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.backups import measure_backup
from bench.developing import measure_developing
from bench.figures import Figure
from bench.install import measure_install
from bench.memory import measure_empty, measure_full
from bench.mutations import measure_mutations
from bench.peers.comparison import PEERS, QUICK, THOROUGH, Comparison, compare
from bench.pipeline import measure_ingest, measure_upload
from bench.profile import print_profile
from bench.relay import measure_relay
from bench.replay import measure_replay
from bench.report import conditions, write_growth, write_table
from bench.view_swap import measure_view_swap
from tests.node_process import BUNDLED, NodeProcess

COMPARED = (*PEERS, "growth")
HOUSE = (
    "memory",
    "mutations",
    "upload",
    "ingest",
    "install",
    "developing",
    "views",
    "relay",
    "replay",
    "full",
    "backup",
)
PARTS = (*COMPARED, *HOUSE)
GROUPS = {"peers": COMPARED, "house": HOUSE}
# On one node with the five bundled apps; every other part has nodes of its own.
WITH_APPS = {"memory", "mutations", "upload", "ingest"}
LEFT_OUT = (
    "--quick: a small graph and one or two short rounds. Left out: growth, the rebuild on Neo4j, the house's parts. A rate of so small "
    "a log says little."
)
console = Console(stderr=True)


def main() -> None:
    parser = make_parser()
    options = parser.parse_args()
    if options.profile:
        print_profile()
        return
    wanted = parts_of(options.only, quick=options.quick, write=options.write)
    if unknown := set(wanted).difference(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join((*GROUPS, *PARTS))}")
    whole, grown = set(PEERS) <= set(wanted), "growth" in wanted
    if options.write and not (whole or grown):
        parser.error(f"--write needs {', '.join(PEERS)} together, or growth: the page shows one run")
    if options.quick:
        console.print(LEFT_OUT)
    length, machine = QUICK if options.quick else THOROUGH, conditions()
    compared = compare(wanted, length, console)
    if options.write and whole:
        write_table(compared.figures, compared.ratios, f"{machine}\n{length.said()}")
    if options.write and grown:
        write_growth(compared.growth, machine)
    figures = measure([part for part in wanted if part in HOUSE])
    if options.json:
        print(json.dumps(as_object(figures, compared)))
    else:
        show([*compared.figures, *compared.growth, *figures])


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="just bench", description="Measure PCloud's speed and memory on this machine."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="within a minute: the peers alone, on a small graph")
    parser.add_argument(
        "--profile", action="store_true", help="print where the time of one request goes, and nothing else"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write table and charts into docs/explanation/performance.md, and measure what they show",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="PART",
        help=f"only these parts of {', '.join((*GROUPS, *PARTS))}; separate by commas, or repeat",
    )
    return parser


def parts_of(only: list[str] | None, *, quick: bool, write: bool) -> list[str]:
    """The parts to measure: without an option all of them, or the quick ones, or those that `--write` needs."""
    if not only:
        return list(PEERS if quick else COMPARED if write else PARTS)
    named = [name for text in only for name in text.split(",")]
    return list(dict.fromkeys(part for name in named for part in GROUPS.get(name, (name,))))


def show(figures: list[Figure]) -> None:
    table = Table("what", "median", "spread", "goal", box=None)
    for figure in figures:
        table.add_row(*figure.row())
    Console().print(table)


def as_object(figures: list[Figure], compared: Comparison) -> dict[str, Any]:
    """The result of the comparison; with the platform's own parts, also each of their figures by its name."""
    shown: dict[str, Any] = {"ratios": compared.ratios, "rates": compared.rates, "trigger_ms": compared.trigger_ms}
    if not figures:
        return shown
    house = {
        figure.name: {"unit": figure.unit, "median": figure.median, "p99": figure.high, "holds": figure.holds}
        for figure in figures
    }
    return {"figures": house, **shown}


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
        if "full" in parts:
            console.print("measuring full …")
            figures.append(measure_full(Path(folder)))
        if "backup" in parts:
            console.print("measuring backup …")
            figures += measure_backup(Path(folder))
    return figures


if __name__ == "__main__":
    main()
