"""Before an app goes back to its version before, its owner reads what that costs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core.apps.life.upgrade import Upgrades
from projections.graph.catalog import Catalog


@pytest.mark.parametrize(
    ("copied", "provides", "deleted"),
    [(True, ("object-storage",), True), (True, (), False), (False, ("object-storage",), False)],
)
async def test_rollback_of_the_object_storage_names_the_uploaded_files(
    copied: bool, provides: tuple[str, ...], deleted: bool
) -> None:
    manifest: Any = SimpleNamespace(provides=provides, triggers=())
    before = SimpleNamespace(at="2026-11-01", archive="a1", catalog="", manifest=manifest)
    app: Any = SimpleNamespace(
        name="store", previous=before, manifest=manifest, declares=lambda: Catalog.from_json("{}")
    )
    parts: Any = SimpleNamespace(snapshots=lambda name: SimpleNamespace(exists=lambda archive: copied))
    found = await Upgrades(parts).losses(app)
    expected = "the files that were uploaded since 2026-11-01, such as photographs, are deleted"
    assert (expected in found) == deleted and len(found) == 1 + deleted
