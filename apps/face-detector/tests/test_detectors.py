"""The networks on photographs: where the face is, which way up, and photographs without a face."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from face_detector.detectors import KNOWN_NAMES, open_detector
from face_detector.face import Detector, Face
from face_detector.picture import upright
from PIL import Image

from pcloud.errors import Unavailable

Find = Callable[[str], Path]


def centre(face: Face) -> tuple[float, float]:
    return face.x + face.width / 2, face.y + face.height / 2


def test_the_face_of_a_portrait_is_found(blazeface: Detector, astronaut: Image.Image, hopper: Image.Image) -> None:
    (face,) = blazeface.detect(astronaut)
    assert centre(face) == pytest.approx((0.44, 0.22), abs=0.03)
    assert 0.1 < face.width < 0.3
    assert face.confidence > 0.8
    eyes = face.landmarks[:4]
    assert face.x < eyes[0] < eyes[2] < face.x + face.width
    assert len(blazeface.detect(hopper)) == 1


def test_small_and_many_faces_are_found(blazeface: Detector, astronaut: Image.Image) -> None:
    wall = Image.new("RGB", (1280, 960), "#556677")
    portrait = astronaut.resize((240, 240))
    spots = [(40, 60), (500, 60), (980, 60), (40, 660), (500, 660), (980, 660)]
    for spot in spots:
        wall.paste(portrait, spot)
    found = sorted(centre(face) for face in blazeface.detect(wall))
    wanted = sorted(((x + 0.44 * 240) / 1280, (y + 0.22 * 240) / 960) for x, y in spots)
    assert found == [pytest.approx(spot, abs=0.02) for spot in wanted]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_picture_on_its_side_has_its_face_at_the_right_place(
    blazeface: Detector, astronaut: Image.Image, quarters: int
) -> None:
    (face,) = blazeface.detect(astronaut.rotate(90 * quarters, expand=True))
    assert centre(face) == pytest.approx({1: (0.22, 0.56), 2: (0.56, 0.78), 3: (0.78, 0.44)}[quarters], abs=0.05)


@pytest.mark.parametrize("name", ["cat", "coffee", "rocket"])
def test_a_photo_of_something_else_has_no_face(blazeface: Detector, photo_file: Find, name: str) -> None:
    assert blazeface.detect(upright(photo_file(name).open("rb"), 10**8)) == []


def test_a_phone_photo_has_its_face_where_a_person_sees_it(
    blazeface: Detector, photo_file: Find, astronaut: Image.Image
) -> None:
    (turned,) = blazeface.detect(upright(photo_file("astronaut-upright").open("rb"), 10**8))
    (face,) = blazeface.detect(astronaut)
    assert centre(turned) == pytest.approx(centre(face), abs=0.02)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (191, 193)])
def test_a_picture_without_a_face_has_none(blazeface: Detector, size: tuple[int, int]) -> None:
    assert blazeface.detect(Image.effect_noise(size, 60).convert("RGB")) == []


def test_the_same_picture_has_the_same_faces(blazeface: Detector, hopper: Image.Image) -> None:
    assert blazeface.detect(hopper) == blazeface.detect(hopper) == open_detector("blazeface", "").detect(hopper)


def test_a_detector_s_segments_are_known_as_its_own(blazeface: Detector) -> None:
    assert blazeface.name in KNOWN_NAMES


def test_a_missing_or_invalid_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.tflite"):
        open_detector("yunet", str(tmp_path / "none.tflite"))
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(Unavailable, match=r"text\.tflite"):
        open_detector("yunet", str(tmp_path / "text.tflite"))
