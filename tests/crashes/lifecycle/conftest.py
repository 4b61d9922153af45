"""One node for each file, and the app whose life its tests interrupt."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.apps import packed
from core.apps.process.folders import ENVIRONMENTS
from tests.crashes.lifecycle.life import LOCK, Life
from tests.crashes.quick_node import QuickNode


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """One node for all tests. Another app on it, without a process, has the same lock, so that the packages are built and compiled once."""
    folder = tmp_path_factory.mktemp("lives")
    with QuickNode(folder / "node") as node:
        life = Life(node, folder / "keeper")
        (folder / "anchor").mkdir()
        (folder / "anchor" / "app.yaml").write_text("name: anchor\nversion: 1.0.0\n")
        shutil.copy(LOCK, folder / "anchor")
        life.install(packed(folder / "anchor").data)
        life.install(life.first)
        subprocess.run([sys.executable, "-m", "compileall", "-q", node.data / "apps" / ENVIRONMENTS], check=True)
        yield life


@pytest.fixture
def life(lives: Life) -> Life:
    """The node without the app and without its leftovers."""
    if lives.node.process and lives.node.process.poll() is not None:
        lives.node.start()
    if lives.detail():
        lives.do("DELETE", "/apps/keeper?forget=true")
    assert not (lives.node.data / "apps" / "keeper").exists()
    return lives
