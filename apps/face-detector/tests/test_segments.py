"""The changes of a detection in the graph."""

from __future__ import annotations

from typing import Any

from face_detector.face import Face
from face_detector.segments import Change, change
from hypothesis import given
from hypothesis import strategies as st

# A busy machine is not a failure.

OURS = ("blazeface-full-range", "yunet")


def face(x: float = 0.1, confidence: float = 0.9) -> Face:
    return Face(x, 0.1, 0.2, 0.2, (0.15, 0.15, 0.25, 0.15), confidence)


class MemoryImage:
    """An image's segments and count, as the graph holds them."""

    def __init__(self) -> None:
        self.segments: dict[str, dict[str, Any]] = {}
        self.count: int | None = None

    def there(self) -> list[dict[str, Any]]:
        return [{"label": None, **segment, "id": key} for key, segment in self.segments.items()]

    def wanted(self, faces: list[Face], version: str = "1", detector: str = OURS[0]) -> Change:
        return change("i", self.count, self.there(), faces, detector=detector, version=version, replaces=OURS)

    def detect(self, faces: list[Face], version: str = "1", detector: str = OURS[0]) -> Change:
        wanted = self.wanted(faces, version, detector)
        for id in wanted.delete:
            del self.segments[id]
        for segment in wanted.add:
            self.segments[segment["key"]] = {name: value for name, value in segment.items() if name != "image"}
        self.count = self.count if wanted.count is None else wanted.count
        return wanted


def test_faces_become_segments_with_keys_of_their_own() -> None:
    wanted = MemoryImage().wanted([face(0.1), face(0.5)])
    assert [segment["key"] for segment in wanted.add] == ["i/blazeface-full-range/1/0", "i/blazeface-full-range/1/1"]
    assert [segment["image"] for segment in wanted.add] == [{"id": "i"}] * 2
    assert (wanted.delete, wanted.count) == ((), 2)


def test_an_image_without_faces_says_so() -> None:
    image = MemoryImage()
    assert image.detect([]) == Change((), (), 0)
    assert not image.wanted([])


def test_a_newer_version_replaces_segments_and_keeps_labels() -> None:
    image = MemoryImage()
    image.detect([face(0.1), face(0.6)])
    image.segments["i/blazeface-full-range/1/1"]["label"] = "Ada"
    wanted = image.detect([face(0.61)], version="2")
    assert sorted(image.segments) == ["i/blazeface-full-range/2/0"]
    assert image.segments["i/blazeface-full-range/2/0"]["label"] == "Ada"
    assert (len(wanted.delete), wanted.count) == (2, 1)


def test_a_label_does_not_go_to_a_face_elsewhere() -> None:
    image = MemoryImage()
    image.detect([face(0.1)])
    image.segments["i/blazeface-full-range/1/0"]["label"] = "Ada"
    assert "label" not in image.detect([face(0.7)], detector="yunet").add[0]


def test_segments_of_others_stay_and_count() -> None:
    image = MemoryImage()
    image.segments["theirs"] = {"key": "theirs", "detector": "a person", "x": 0, "y": 0, "width": 1, "height": 1}
    image.detect([face()])
    assert image.count == 2
    image.detect([], version="2")
    assert (list(image.segments), image.count) == (["theirs"], 1)


FACES = st.lists(
    st.builds(face, st.integers(0, 80_000).map(lambda n: n / 100_000), st.integers(50_000, 99_999).map(lambda n: n / 100_000)),
    max_size=6,
)  # fmt: skip


@given(st.lists(st.tuples(FACES, st.sampled_from("12"), st.sampled_from(OURS)), min_size=1, max_size=6))
def test_the_last_detection_stands_and_a_repetition_changes_nothing(
    detections: list[tuple[list[Face], str, str]],
) -> None:
    image = MemoryImage()
    for faces, version, detector in detections:
        image.detect(faces, version, detector)
        assert not image.wanted(faces, version, detector)
        assert image.count == len(image.segments) == len(faces)
        assert sorted(segment["x"] for segment in image.segments.values()) == sorted(face.x for face in faces)
