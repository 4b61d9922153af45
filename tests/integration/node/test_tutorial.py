"""The tutorial's app, put together from its page, counts the pictures that were there before it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.node_process import ROOT, NodeProcess, wait_until

PAGE = (ROOT / "docs" / "tutorial" / "first-app.md").read_text()
COUNTS = "{ queryCameraCount_CameraCount(order: [{ asc: camera }]) { camera pictures } }"


def block_after(words: str) -> str:
    """The first block of code behind these words of the page."""
    found = re.search(re.escape(words) + r".*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"the page has no block after {words!r}"
    return found[1]


def write_app(clone: Path) -> Path:
    """What a reader has after following the page in a clone."""
    folder = clone / "camera-count"
    folder.mkdir()
    (clone / "pcloud").symlink_to(ROOT / "pcloud")
    for name in ("app.yaml", "schema.graphql", "camera_count.py", "pyproject.toml"):
        (folder / name).write_text(block_after(f"`{name}`"))
    steps = block_after("make the lock.").replace("$ ", "")
    # The versions that are in the cache already, so that the test depends on no release of today.
    known = {"UV_CONSTRAINT": str(ROOT / "apps" / "image-importer" / "requirements.lock")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e"],
        input=steps,
        text=True,
        cwd=clone,
        env=os.environ | known | {"PATH": path},
        check=True,
        timeout=60,
    )
    return folder


def counted(cloud: NodeProcess) -> dict[str, int]:
    return {row["camera"]: row["pictures"] for row in cloud.graphql(COUNTS)["queryCameraCount_CameraCount"]}


def test_the_tutorials_app_counts_the_pictures_that_were_there_before_it(cloud: NodeProcess, tmp_path: Path) -> None:
    folder = write_app(tmp_path)
    images = cloud.graphql("{ queryImageImporter_Image { camera } }")["queryImageImporter_Image"]
    expected = Counter(image["camera"] for image in images)
    assert len(expected) == 2
    refused = cloud.cli("app", "install", str(folder), "--yes", check=False)
    assert refused.returncode != 0 and "--unconfined" in refused.stderr
    cloud.cli("app", "install", str(folder), "--yes", "--unconfined")
    try:
        wait_until(lambda: counted(cloud) == expected, what="the counts of the pictures that were there before")
        runs = cloud.json("runs", "--app", "camera-count", "--json")
        assert {(run["state"], run["action"]) for run in runs} == {("DONE", "count")}
        assert len(runs) == sum(expected.values()) >= 2
    finally:
        cloud.cli("app", "remove", "camera-count", "--yes")
        shutil.rmtree(folder)
