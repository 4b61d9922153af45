"""How long an app developer waits for a test: `pcloud.testing` installs a new app, which reacts to stored data."""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Figure
from core.cli.new import write_app
from pcloud.testing import Cloud, open_cloud

__all__ = ["measure_developing"]

TIMES = 7


def measure_developing(folder: Path) -> list[Figure]:
    """On a node of its own. The first one also makes the environment that the others share."""
    with open_cloud() as cloud:
        seconds = [one_test(cloud, folder / f"app{number}") for number in range(TIMES + 1)]
    return [
        Figure("test of a new app: installed, and it reacted", "s", tuple(seconds[1:]), bound=2),
        Figure("the first such test on a node", "s", tuple(seconds[:1])),
    ]


def one_test(cloud: Cloud, app: Path) -> float:
    """Run the test of an app that `pcloud app new` has made; seconds."""
    write_app(app.name, app)
    began = time.perf_counter()
    cloud.install(app)
    cloud.graphql(f'mutation {{ add{app.name.capitalize()}_Note(input: [{{text: "a b"}}]) {{ count }} }}')
    cloud.wait_for_runs(app.name)
    taken = time.perf_counter() - began
    cloud.remove(app.name)
    return taken
