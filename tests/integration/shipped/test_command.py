"""`pcloud fetch`: fills a folder for another machine, also from a clone, whose apps have their files already."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.node_process import BUNDLED, PCLOUD, ROOT


def fetch(folder: Path) -> subprocess.CompletedProcess[str]:
    """Without a package index."""
    words = [str(PCLOUD), "fetch", "--files", str(folder), "--json"]
    environment = os.environ | {"UV_NO_INDEX": "1", "UV_OFFLINE": "1"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)


def test_all_is_fetched_that_another_machine_needs(tmp_path: Path) -> None:
    for part in ("files", "photos"):  # as `just setup` has fetched them
        shutil.copytree(ROOT / ".setup" / part, tmp_path / part)
    whole = fetch(tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert sorted(json.loads(whole.stdout)["apps"]) == sorted(BUNDLED)
    [weights] = (tmp_path / "files").glob("*face_landmark.tflite")
    weights.unlink()
    lacking = fetch(tmp_path)
    assert lacking.returncode == 6 and "face_landmark.tflite can't be fetched" in lacking.stderr.replace("\n", " ")
