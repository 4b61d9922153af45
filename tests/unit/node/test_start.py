"""Modules that a node's start does not load."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import PATIENCE


def test_without_a_graph_server_its_driver_is_not_loaded() -> None:
    """Importing it would take a quarter of the start, and memory of a node that never uses it."""
    code = "import core.node.bootstrap, sys; print([name for name in sys.modules if name.partition('.')[0] == 'neo4j'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert said.stdout.strip() == "[]"
