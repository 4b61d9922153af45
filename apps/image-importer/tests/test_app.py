"""The archive's manifest and schema agree with the code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest
import yaml
from image_importer.inspect import Facts
from image_importer.settings import Settings

from pcloud.errors import Rejected
from pcloud.manifest import Manifest

ROOT = Path(__file__).parents[1]


def manifest() -> Manifest:
    return msgspec.convert(yaml.safe_load((ROOT / "app.yaml").read_text()), Manifest)


def test_the_manifest_gives_the_settings_their_defaults() -> None:
    assert manifest().settings == asdict(Settings())


def test_every_fact_has_its_field_in_the_schema() -> None:
    schema = (ROOT / "schema.graphql").read_text()
    assert [name for name in Facts.__annotations__ if f"\n  {name}: " not in schema] == []


@pytest.mark.parametrize(
    "given", [{"byte": 1}, {"pixels": 0}, {"memory": "1 GB"}, {"parallel": True}, {"parallel": 1.5}]
)
def test_an_invalid_setting_is_rejected(given: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="setting"):
        Settings.from_mapping(given)
