"""`just soak`: a real node under load, whose parts are stopped, starved and killed for some time; ends with a report."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crashes.clients import Clients, install_apps, missing, working
from tests.own_disk import MB, ImageDisk
from tests.soak.faults import Faults
from tests.soak.memory import MemoryGroup
from tests.soak.report import Report

DISK = 12_000 * MB  # a sparse file: as much as is uploaded is used
PAUSE = 0.3  # seconds between a client's requests


def main() -> None:
    options = make_parser().parse_args()
    if os.geteuid():
        sys.exit("just soak mounts a file system of its own, to fill it and to cut its power: run it as root")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it otherwise
    report = soak(options.minutes)
    if options.json:
        print(json.dumps(report.as_object()))
    else:
        for name, value in report.as_object().items():
            print(f"{name:>14}  {value}")
    sys.exit(0 if report.holds else 1)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="just soak",
        description="Run a node with apps on a throw-away disk while clients change the graph, upload and ask, and stop, "
        "starve and kill its parts. Fails if the node ended, if something acknowledged is missing, or if a run failed. "
        "Ctrl-C ends it early, with the report.",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long faults are applied (default: 20)")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON line")
    return parser


def soak(minutes: float) -> Report:
    """The temporary folder is removed at the end; if something is amiss, its place is printed and it stays."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="pcloud-soak-") as folder, limited(report) as memory:
        node = ImageDisk(Path(folder), DISK)
        if memory is not None:
            node.before = (*memory.joining, *node.before)
        with node:
            clients = Clients(node, install_apps(node), PAUSE)
            faults, began = Faults(node, clients, report, memory), time.monotonic()
            with working(clients):
                try:
                    apply(faults, began + 60 * minutes)
                except KeyboardInterrupt:
                    faults.say("ending early")
            report.minutes = round((time.monotonic() - began) / 60, 1)
            faults.say("checking all that was acknowledged")
            find(report, clients)
            if not report.holds:
                print(f"the end of the node's log:\n{node.log.read_text()[-5000:]}", file=sys.stderr)
    return report


@contextmanager
def limited(report: Report) -> Iterator[MemoryGroup | None]:
    """The group in which memory can be made short; None, and a line in the report, if it can't."""
    try:
        memory = MemoryGroup()
    except OSError as error:
        report.left_out.append(f"a shortage of memory: {error}")
        yield None
        return
    try:
        yield memory
    finally:
        memory.remove()


def apply(faults: Faults, end: float) -> None:
    """One fault after the other; one that would take longer than is left is left out."""
    faults.settle("the start")
    for name, seconds, fault in faults.every():
        if time.monotonic() >= end:
            return
        if time.monotonic() + seconds < end:
            faults.say(name)
            fault()
            faults.settle(name)


def find(report: Report, clients: Clients) -> None:
    report.missing = missing(clients)
    report.lost = len(report.missing)
    runs = clients.node.status()["runs"]
    report.failed_runs, report.runs = runs["FAILED"], runs["DONE"]
    report.creates, report.uploads, report.queries = len(clients.notes), len(clients.objects), clients.asked
    report.refused, report.refusals = clients.refused.total(), dict(clients.refused)
    report.wrong = dict(clients.wrong)


if __name__ == "__main__":
    main()
