"""Shared by these tests: the app on the import path, the weights, and freely usable photographs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

APP = Path(__file__).parents[1]
PHOTOS = APP.parents[1] / ".setup" / "photos"
sys.path.insert(0, str(APP))


@pytest.fixture(scope="session")
def photo_file() -> Callable[[str], Path]:
    """A photograph by the stem of its name. Fails instead of skipping: a detector that was not tried is not tested."""

    def find(stem: str) -> Path:
        found = sorted(PHOTOS.glob(f"{stem}.*"))
        assert found, f"{PHOTOS}/{stem}.* is missing: run `just setup`, which fetches the photographs for the tests"
        return found[0]

    return find


@pytest.fixture(scope="session")
def astronaut(photo_file: Callable[[str], Path]) -> Image.Image:
    """A portrait of Eileen Collins (NASA): one face."""
    return Image.open(photo_file("astronaut")).convert("RGB")


@pytest.fixture(scope="session")
def hopper(photo_file: Callable[[str], Path]) -> Image.Image:
    """A portrait of Grace Hopper (US Navy): one face."""
    return Image.open(photo_file("admiral")).convert("RGB")


@pytest.fixture(scope="session")
def blazeface():  # type: ignore[no-untyped-def]
    from face_detector.detectors import WEIGHTS, open_detector

    assert list(WEIGHTS.glob("*.tflite")), "the weights are missing: run `just setup`"
    return open_detector("blazeface", "")
