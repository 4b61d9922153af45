"""The detection of an image against a graph in memory: all in one mutation, nothing twice, nothing for deleted
images."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from face_detector.detection import Detection
from face_detector.face import Face
from face_detector.looking import Detected
from face_detector.settings import Settings

from pcloud.errors import NotFound, Rejected, Unavailable

FACES = [Face(0.1, 0.1, 0.2, 0.2, (0.1, 0.2), 0.9), Face(0.5, 0.1, 0.2, 0.2, (0.5, 0.2), 0.8)]


class MemoryGraph:
    def __init__(self) -> None:
        self.image: dict[str, Any] | None = {"place": "images/a/b.jpg", "faceCount": None, "segments": []}
        self.mutations: list[dict[str, Any]] = []
        self.vanishes = False

    async def query(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        return {"getImage": self.image}

    async def mutate(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        if self.vanishes:
            self.image = None
            raise NotFound("no such Image")
        assert self.image is not None
        assert set(re.findall(r"\$(\w+):", document)) == set(variables)
        self.mutations.append(variables)
        segments = {segment["key"]: segment for segment in self.image["segments"]}
        for id in variables.get("old", []):
            del segments[id]
        for segment in variables.get("new", []):
            segments[segment["key"]] = {"label": None, **segment, "id": segment["key"]}
        self.image["segments"] = list(segments.values())
        if "image" in variables:
            self.image.update(variables["image"]["set"])
        return {}


class Fixture:
    def __init__(self, folder: Path) -> None:
        self.graph, self.folder = MemoryGraph(), folder
        self.faces = FACES
        self.version = "1"
        self.fails: Exception | None = None
        self.asked: list[str] = []
        self.detection = Detection(Settings(faces=2), self.graph, self, look=self.look)

    @asynccontextmanager
    async def file(self, place: str, most: int) -> AsyncIterator[Path]:
        """Of the object store."""
        self.asked.append(place)
        if self.fails:
            raise self.fails
        (self.folder / "object").write_bytes(b"bytes")
        yield self.folder / "object"

    async def look(self, file: Path) -> Detected:
        assert file.read_bytes() == b"bytes"
        return Detected("yunet", self.version, list(self.faces))


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


async def test_all_of_a_picture_is_written_in_one_mutation(fixture: Fixture) -> None:
    assert await fixture.detection.detect_faces("i") == {"image": "i", "faces": 2}
    (written,) = fixture.graph.mutations
    assert len(written["new"]) == 2
    assert written["image"] == {"filter": {"id": ["i"]}, "set": {"faceCount": 2}}
    assert fixture.asked == ["images/a/b.jpg"]


async def test_the_same_picture_and_detector_twice_change_nothing(fixture: Fixture) -> None:
    await fixture.detection.detect_faces("i")
    await fixture.detection.detect_faces("i")
    assert len(fixture.graph.mutations) == 1


async def test_another_version_replaces_the_segments_in_one_mutation(fixture: Fixture) -> None:
    await fixture.detection.detect_faces("i")
    fixture.version, fixture.faces = "2", FACES[:1]
    await fixture.detection.detect_faces("i")
    assert fixture.graph.image is not None
    assert [segment["key"] for segment in fixture.graph.image["segments"]] == ["i/yunet/2/0"]
    assert len(fixture.graph.mutations) == 2


async def test_the_most_certain_faces_are_kept_up_to_the_limit(fixture: Fixture) -> None:
    fixture.faces = [*FACES, *FACES]
    assert (await fixture.detection.detect_faces("i"))["faces"] == 2


async def test_an_image_that_was_deleted_meanwhile_leaves_nothing(fixture: Fixture) -> None:
    fixture.graph.vanishes = True
    assert (await fixture.detection.detect_faces("i"))["faces"] is None
    assert (await fixture.detection.detect_faces("i"))["faces"] is None
    assert fixture.graph.mutations == []


async def test_missing_bytes_leave_nothing(fixture: Fixture) -> None:
    fixture.fails = NotFound("gone")
    assert (await fixture.detection.detect_faces("i"))["faces"] is None
    assert fixture.graph.mutations == []


@pytest.mark.parametrize("error", [Unavailable("away"), Rejected("broken")])
async def test_an_error_ends_the_run(fixture: Fixture, error: Exception) -> None:
    fixture.fails = error
    with pytest.raises(type(error)):
        await fixture.detection.detect_faces("i")
