"""EXIF tables as cameras write them, and the values that come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_importer import exif
from PIL.TiffImagePlugin import IFDRational

# A busy machine is not a failure.

MAKE, MODEL, LENS = 0x010F, 0x0110, 0xA434
NOWHERE = IFDRational(0, 0)


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 5D Mark IV", "Canon EOS 5D Mark IV"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("OLYMPUS IMAGING CORP.  ", "E-M10", "OLYMPUS E-M10"),
        ("SAMSUNG ELECTRONICS CO.,LTD.", "SM-G998B", "SAMSUNG SM-G998B"),
        ("EASTMAN KODAK COMPANY", "KODAK Z740 ZOOM", "KODAK Z740 ZOOM"),
        ("Hewlett-Packard", "HP PhotoSmart", "HP PhotoSmart"),
        ("FUJIFILM\x00\x00", "X-T5\x00junk", "FUJIFILM X-T5"),
        (None, "X100", "X100"),
        ("LEICA", None, "LEICA"),
        ("   ", "\x00", None),
        (b"Sony", 17, "Sony"),
    ],
)
def test_a_camera_is_named_once(make: object, model: object, name: str | None) -> None:
    assert exif.camera({MAKE: make, MODEL: model}) == name


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({0x829A: IFDRational(1, 125)}, "1/125 s"),
        ({0x829A: IFDRational(10, 1250)}, "1/125 s"),
        ({0x829A: IFDRational(1, 2)}, "0.5 s"),
        ({0x829A: 30.0}, "30 s"),
        ({0x9201: IFDRational(8, 1)}, "1/256 s"),
        ({0x829A: NOWHERE}, None),
        ({0x829A: IFDRational(0, 1)}, None),
        ({0x829A: -1.0}, None),
        ({0x829A: "fast"}, None),
        ({}, None),
    ],
)
def test_an_exposure_reads_as_photographers_write_it(tags: dict[int, object], told: str | None) -> None:
    assert exif.exposure(tags) == told


@pytest.mark.parametrize(
    ("function", "tags", "value"),
    [
        (exif.f_number, {0x829D: IFDRational(28, 10)}, 2.8),
        (exif.f_number, {0x9202: IFDRational(3, 1)}, 2.8),
        (exif.f_number, {0x829D: IFDRational(0, 1)}, None),
        (exif.iso, {0x8827: 400}, 400),
        (exif.iso, {0x8827: (800, 0)}, 800),
        (exif.iso, {0x8827: 65535, 0x8832: 102400}, 102400),
        (exif.iso, {0x8827: ()}, None),
        (exif.focal_length, {0x920A: IFDRational(2400, 100)}, 24.0),
        (exif.focal_length, {0x920A: NOWHERE}, None),
        (exif.lens, {LENS: "EF24-70mm f/2.8L II USM"}, "EF24-70mm f/2.8L II USM"),
        (exif.lens, {LENS: "----"}, None),
        (exif.lens, {LENS: "0.0"}, None),
    ],
)
def test_a_value_is_taken_or_left_out(function: object, tags: dict[int, object], value: object) -> None:
    assert function(tags) == value  # type: ignore[operator]


def gps(latitude: object, north: object, longitude: object, east: object) -> dict[int, object]:
    return {1: north, 2: latitude, 3: east, 4: longitude}


BERLIN = ((52, 31, IFDRational(1212, 100)), (13, 24, IFDRational(1800, 100)))


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        (gps(BERLIN[0], "N", BERLIN[1], "E"), (52.5200333, 13.405)),
        (gps(BERLIN[0], "S", BERLIN[1], "W"), (-52.5200333, -13.405)),
        (gps((33, 51.5, 0), b"S\x00", (151, 12.25, 0), "E\x00"), (-33.8583333, 151.2041667)),
        (gps((0, 0, 0), "N", (0, 0, 0), "E"), None),
        (gps((91, 0, 0), "N", (13, 0, 0), "E"), None),
        (gps((52, 0, 0), "N", (181, 0, 0), "E"), None),
        (gps((NOWHERE, NOWHERE, NOWHERE), "N", BERLIN[1], "E"), None),
        (gps(BERLIN[0], "", BERLIN[1], "E"), None),
        (gps(BERLIN[0], "N", None, "E"), None),
        (gps("52", "N", "13", "E"), None),
        (gps((-52, 0, 0), "N", (13, 0, 0), "E"), None),
    ],
)
def test_a_position_is_signed_degrees_or_nothing(tags: dict[int, object], place: object) -> None:
    assert exif.position(tags) == place


def test_orientations_five_to_eight_swap_the_sides() -> None:
    sides = {orientation: exif.upright_size((4, 3), orientation) for orientation in (None, 0, *range(1, 10), "6")}
    assert [key for key, size in sides.items() if size == (3, 4)] == [5, 6, 7, 8]


ANYTHING = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=20),
    st.builds(IFDRational, st.integers(-9, 9), st.integers(-9, 9)),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(
    [1, 2, 3, 4, MAKE, MODEL, LENS, 0x829A, 0x9201, 0x829D, 0x9202, 0x8827, 0x8832, 0x920A]
), st.one_of(ANYTHING, st.lists(ANYTHING, max_size=4).map(tuple))))  # fmt: skip
def test_no_nonsense_of_a_camera_is_an_error(tags: dict[int, object]) -> None:
    for read in (exif.camera, exif.lens, exif.exposure, exif.f_number, exif.iso, exif.focal_length, exif.position):
        read(tags)
