"""The installed wheel on a machine without the clone: its contents, the demo, and files fetched on first use."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

from tests.installed import Home
from tests.node_process import BUNDLED, ROOT

MOST_BYTES = 4_000_000
UNWANTED = re.compile(
    r"(^|/)(node_modules|__pycache__|weights|\.[a-z]+_cache|src)/|\.test\.ts$|(^|/)test_\w+\.py$|\.map$"
)
TEMPLATE = "core/cli/templates/app/tests/test_app.py"  # `pcloud app new` writes it


def test_the_wheel_holds_all_that_runs_and_nothing_else(home: Home) -> None:
    with zipfile.ZipFile(home.wheel) as wheel:
        names = set(wheel.namelist())
        apps = {name: wheel.read(f"core/shipped/apps/{name}.tar.gz") for name in BUNDLED}
    for app, archive in apps.items():
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            names |= {f"{app}/{name}" for name in tar.getnames()}
    pages = (
        "core/graph/api/graphiql/dist/index.html",
        "core/front/console/web/dist/index.html",
        "photos/web/dist/index.html",
    )
    assert {*pages, TEMPLATE} <= names
    assert sorted(name for name in names - {TEMPLATE} if UNWANTED.search(name)) == []
    assert home.wheel.stat().st_size < MOST_BYTES


def test_the_version_is_the_wheels(home: Home) -> None:
    version = home.wheel.name.split("-")[1]
    assert home.run("pcloud", "--version").stdout.strip() == f"pcloud {version}"


def test_demo_fetches_its_files_and_runs_to_its_end(home: Home) -> None:
    said = home.run("pcloud", "demo", "--exit", "--json")
    facts = json.loads(said.stdout.splitlines()[-1])
    assert (facts["images"], facts["segments"], facts["gallery_status"]) == (7, 4, 200)
    assert facts["search"] == {"astronaut": 3, "cat": 1, "coffee": 1}
    assert {"fetching mediapipe", "fetching scikit-image"} <= set(re.findall(r"fetching [\w-]+", said.stderr))
    kept = {path.name for path in (home.folder / ".cache" / "pcloud").rglob("*.*") if path.is_file()}
    assert "2c3728e6da56-face_detection_full_range_sparse.tflite" in kept and "astronaut-upright.jpg" in kept
    again = home.run("pcloud", "fetch", "--json", UV_OFFLINE="1")
    assert json.loads(again.stdout)["apps"] == sorted(BUNDLED) and "fetching" not in again.stderr


def test_without_a_network_the_files_come_from_a_folder(home: Home, tmp_path: Path) -> None:
    offline = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1"}
    nothing = home.run("pcloud", "fetch", "--files", str(tmp_path / "empty"), check=False, **offline)
    assert nothing.returncode == 6
    words = " ".join(nothing.stderr.split())
    assert "face_landmark.tflite can't be fetched out of the package mediapipe 0.10.18" in words
    assert "run `pcloud fetch --files FOLDER` on another machine" in words
    for part in ("files", "photos"):  # as `just setup` has fetched them
        shutil.copytree(ROOT / ".setup" / part, tmp_path / "stick" / part)
    whole = home.run("pcloud", "fetch", "--json", PCLOUD_FILES=str(tmp_path / "stick"), **offline)
    assert json.loads(whole.stdout)["photographs"] == str(tmp_path / "stick" / "photos")
