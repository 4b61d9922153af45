"""The SDK is a separate package: it is built from its folder alone, and works without the rest of PCloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.node_process import PCLOUD, ROOT

UV = str(PCLOUD.parent / "uv")
USE = """
import importlib.util
from pcloud.app import App
from pcloud.testing import Cloud
assert not any(importlib.util.find_spec(name) for name in ("core", "eventstore", "projections"))


@App().action
async def bark(times: int) -> str:
    return "woof" * times
"""


def run(*words: str) -> None:
    # The versions that are in uv's cache already, so that the test depends on no release of today.
    environment = os.environ | {"UV_CONSTRAINT": str(ROOT / "requirements.lock")}
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=100)


def test_the_sdk_is_built_and_used_alone(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pcloud", tmp_path / "sdk", ignore=shutil.ignore_patterns("__pycache__", "dist"))
    run(UV, "build", "--quiet", "--out-dir", str(tmp_path / "dist"), str(tmp_path / "sdk"))
    assert sorted(path.suffix for path in (tmp_path / "dist").glob("pcloud_sdk-*")) == [".gz", ".whl"]
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert {"pcloud/app.py", "pcloud/py.typed", "pcloud/manifest.schema.json"} <= names
    assert {name.partition("/")[0] for name in names} == {"pcloud", "pcloud_sdk-0.1.0.dist-info"}
    run(UV, "venv", "--quiet", str(tmp_path / "venv"))
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", str(python), f"{wheel}[testing]")
    subprocess.run([python, "-I", "-c", USE], check=True, timeout=60, cwd=tmp_path)
