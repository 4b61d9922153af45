"""A core that is not root makes its sandboxes with a user namespace."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
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
    """A folder that the ordinary user owns, below folders that are open to all users."""
    above = Path(tempfile.mkdtemp(prefix="pcloud-user-"))
    above.chmod(0o755)
    (above / "node").mkdir()
    if os.getuid() == 0:
        os.chown(above / "node", USER, USER)
    yield above / "node"
    shutil.rmtree(above, ignore_errors=True)


def closed_folder(place: Path) -> Path | None:
    """The first folder on the path to `place` that an ordinary user may not enter."""
    return next((folder for folder in reversed(place.parents) if not folder.stat().st_mode & stat.S_IXOTH), None)


def as_user(above: Path, script: list[str]) -> list[str]:
    """Run Python as the ordinary user, with this checkout at `above`/project and Python where it is. The user may not
    be allowed into their real places: both may lie in root's own folder, which is then covered by an open one.
    """
    project, kept, base = above / "project", above / "python", Path(sys.base_prefix).resolve()
    project.mkdir()
    kept.mkdir()
    steps = ["set -e", shlex.join(["mount", "--bind", str(ROOT), str(project)])]
    if closed := closed_folder(base):
        steps += [shlex.join(["mount", "--bind", str(base), str(kept)])]
        steps += [shlex.join(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed)])]
        steps += [shlex.join(["mkdir", "-p", str(base)]), shlex.join(["mount", "--bind", str(kept), str(base)])]
    python = project / Path(sys.executable).relative_to(ROOT)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", str(python), *script]
    steps += [shlex.join(["cd", str(project)]), shlex.join(["exec", *become])]
    return ["unshare", "--mount", "sh", "-c", "\n".join(steps)]


@pytest.mark.parametrize("program", ["wheel", "/usr/bin/bwrap"])
def test_an_ordinary_user_s_apps_have_walls_and_a_bound_on_processes_too(folder, program):
    script = ["-m", "tests.integration.sandbox.ordinary_user", str(folder), program]
    command = as_user(folder.parent, script) if os.getuid() == 0 else [sys.executable, *script]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["uid"] != 0 and found["kind"].startswith("bubblewrap")
    assert found["without_a_filter"]["code"] != 0 and "unshare failed" in found["without_a_filter"]["err"]
    inside = found["inside"]
    assert {int(one, 16) for one in inside["capabilities"]} == {0}
    assert inside["unshare"] == -1 and inside["keys"] == "seed of one"
    machines = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp", "usr"}
    assert set(inside["seen"]) <= machines | {"app", "data", Path(sys.base_prefix).resolve().parts[1]}
    assert (folder / "apps" / "one" / "data" / "written").exists()
    assert found["host"] == "hello\n", "hosts outside are reached at ports below 1024, which only core may open"
    # The dialer is of the same user as the app, and in the same namespaces.
    assert found["looked_into"] == {}
    assert 30 < found["children"] <= 50 and found["others_children"] == 0
