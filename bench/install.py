"""How long it takes to install an app: one without dependencies, and one with PCloud's library whose packages are there
already."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from core.apps import packed
from tests.node_process import NodeProcess

__all__ = ["measure_install", "named"]

APPS = Path(__file__).parent / "apps"
TIMES = 7


def measure_install(node: NodeProcess) -> list[Figure]:
    """On a running node, each time under another name. The first one also makes the environment that the others share."""
    plain, probe = (installs(node, app) for app in ("plain", "probe"))
    return [
        Figure("install of an app without dependencies", "s", plain[1:], bound=2),
        Figure("the first of them on a node", "s", plain[:1]),
        Figure("install of an app with PCloud's library", "s", probe[1:]),
    ]


def installs(node: NodeProcess, app: str) -> tuple[float, ...]:
    """Seconds until each one runs."""
    seconds: list[float] = []
    for number in range(TIMES + 1):
        archive = named(app, f"{app}{number}")
        began = time.perf_counter()
        node.install_archive(archive)
        seconds.append(time.perf_counter() - began)
    return tuple(seconds)


def named(app: str, name: str) -> bytes:
    """The archive of a bundled app under another name."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        shutil.copytree(APPS / app, copy, ignore=shutil.ignore_patterns("__pycache__"))
        manifest = copy / "app.yaml"
        manifest.write_text(re.sub(rf"(name: |type: ){app}\b", rf"\g<1>{name}", manifest.read_text()))
        return packed(copy).data
