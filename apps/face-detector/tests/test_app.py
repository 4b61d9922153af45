"""The archive's manifest, schema and weights agree with the code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest
import yaml
from face_detector.detectors import WEIGHTS
from face_detector.segments import change
from face_detector.settings import Settings

from pcloud.errors import Rejected
from pcloud.manifest import Manifest

ROOT = Path(__file__).parents[1]


def test_the_manifest_gives_the_settings_their_defaults() -> None:
    document = yaml.safe_load((ROOT / "app.yaml").read_text().replace("\n    on:", '\n    "on":'))
    assert msgspec.convert(document, Manifest).settings == asdict(Settings())


def test_what_is_written_has_its_field_in_the_schema() -> None:
    from face_detector.face import Face

    schema = (ROOT / "schema.graphql").read_text()
    (segment,) = change("i", 0, [], [Face(0, 0, 1, 1, (), 1)], detector="d", version="1", replaces=()).add
    assert [name for name in segment if f"\n  {name}: " not in schema] == []


def test_the_weights_are_the_pinned_ones() -> None:
    (package,) = json.loads((ROOT / "from-packages.json").read_text())
    assert {file["to"] for file in package["files"]} == {str(path.relative_to(ROOT)) for path in WEIGHTS.iterdir()}
    for file in package["files"]:
        assert hashlib.sha256((ROOT / file["to"]).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.parametrize(
    "given",
    [
        {"detectr": "yunet"},
        {"detector": "haar"},
        {"detector": "yunet"},
        {"model": 1},
        {"seconds": 0},
        {"faces": 901},
        {"parallel": 1.5},
    ],
)
def test_an_invalid_setting_is_rejected(given: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="setting"):
        Settings.from_mapping(given)
