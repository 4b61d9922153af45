"""A core that is not root makes its sandboxes with a user namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
USER = 20001


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the ordinary user owns, where everybody may go."""
    above = Path(tempfile.mkdtemp(prefix="pcloud-user-"))
    above.chmod(0o755)
    (above / "node").mkdir()
    if os.getuid() == 0:
        os.chown(above / "node", USER, USER)
    yield above / "node"
    shutil.rmtree(above, ignore_errors=True)


def as_user(project: Path, script: list[str]) -> list[str]:
    """Run Python as the ordinary user, who finds this checkout at `project`: where it really is, he may not be let in."""
    project.mkdir()
    python = project / Path(sys.executable).relative_to(ROOT)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", str(python), *script]
    steps = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", steps, "sh", str(ROOT), str(project), *become]


def test_an_ordinary_user_s_apps_have_walls_and_a_bound_on_processes_too(folder):
    script = ["-m", "tests.integration.sandbox.ordinary_user", str(folder)]
    command = as_user(folder.parent / "project", script) if os.getuid() == 0 else [sys.executable, *script]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["uid"] != 0 and found["kind"].startswith("bubblewrap")
    inside = found["inside"]
    assert {int(one, 16) for one in inside["capabilities"]} == {0}
    assert inside["unshare"] == -1 and inside["keys"] == "seed of one"
    machines = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp", "usr"}
    assert set(inside["seen"]) <= machines | {"app", "data"}
    assert (folder / "apps" / "one" / "data" / "written").exists()
    assert 30 < found["children"] <= 50 and found["others_children"] == 0
