"""A sidecar holds any facts, so that another program reads the same."""

from __future__ import annotations

from pathlib import Path

import exiv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.export.photograph import Person, Photograph, read_person, read_photograph
from core.export.sidecar import sidecar

FRACTIONS = st.floats(0, 1)


def read(data: bytes, folder: Path) -> dict[str, str]:
    path = folder / "cat.xmp"
    path.write_bytes(data)
    image = exiv2.ImageFactory.open(str(path))
    image.readMetadata()
    return {one.key(): one.toString() for one in image.xmpData()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sidecar")


@given(
    title=st.text(),
    names=st.lists(st.text(), max_size=3),
    x=FRACTIONS,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
)
def test_sidecar_of_any_facts_is_valid(
    folder: Path, title: str, names: list[str], x: float, latitude: float, longitude: float
) -> None:
    photograph = Photograph("ab", ("images/cat.jpg",), "2024-05-17T10:00:00.000", title, latitude, longitude, 4, 3)
    facts = read(sidecar(photograph, [Person(x, x, x, x, name) for name in names]), folder)
    assert facts["Xmp.exif.DateTimeOriginal"] == "2024-05-17T10:00:00.000"
    degrees, minutes = facts["Xmp.exif.GPSLatitude"][:-1].split(",")
    assert int(degrees) + float(minutes) / 60 == pytest.approx(abs(latitude), abs=1e-6) and float(minutes) < 60
    for number in range(1, len(names) + 1):
        assert f"Xmp.mwg-rs.Regions/mwg-rs:RegionList[{number}]/mwg-rs:Area/stArea:x" in facts


def node(**fields: object) -> dict[str, object]:
    return {"id": "ab", "fields": {"sha256": "ab", "place": "images/a/cat.jpg", **fields}, "relations": {}}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, "photographs/undated/cat.jpg"),
        ({"takenAt": "2024-05-16T22:30:00.000Z"}, "photographs/2024/2024-05-16 cat.jpg"),
        ({"takenAt": "2024-05-16T22:30:00.000Z", "takenAtZone": "+02:00"}, "photographs/2024/2024-05-17 cat.jpg"),
        ({"takenAt": "2024-01-01T02:30:00.000Z", "takenAtZone": "-03:30"}, "photographs/2023/2023-12-31 cat.jpg"),
        ({"takenAt": "2024-05-16T22:30:00.000Z", "takenAtZone": "nonsense"}, "photographs/2024/2024-05-16 cat.jpg"),
        ({"places": ["images/x", "images/../..\\con"]}, "photographs/undated/_._con"),
        ({"place": "images/a/con", "mime": "image/png"}, "photographs/undated/_con.png"),
    ],
)
def test_photograph_is_named_by_local_date(fields: dict[str, object], wanted: str) -> None:
    photograph = read_photograph(node(**fields))
    assert photograph is not None and photograph.wanted == wanted


def test_node_of_another_form_is_not_a_photograph() -> None:
    assert read_photograph({"id": "1", "fields": {"place": 1}, "relations": {}}) is None
    assert read_person({"id": "1", "fields": {"x": "left"}, "relations": {"image": ["ab"]}}) is None
