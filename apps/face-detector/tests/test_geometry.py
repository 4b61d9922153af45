"""Boxes, tiles and turns, without any network."""

from __future__ import annotations

import numpy as np
import pytest
from face_detector.geometry import (
    Region,
    faces,
    overlap,
    shifted,
    turned_back,
    weighted_suppression,
    without_nested,
)
from face_detector.pyramid import tiles
from hypothesis import given
from hypothesis import strategies as st

# A busy machine is not a failure.

SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def row(left: float, top: float, right: float, bottom: float, score: float = 0.9) -> list[float]:
    return [left, top, right, bottom, score, left, top, right, bottom]


@given(SIZES, st.sampled_from([1, 2, 4]), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.249))
def test_every_face_up_to_a_quarter_of_a_tile_is_whole_in_one(
    size: tuple[int, int], parts: int, x: float, y: float, part: float
) -> None:
    face = part * max(size) / parts
    if face > min(size):
        return
    left, top = x * (size[0] - face), y * (size[1] - face)
    assert any(
        tile.left - 1e-6 <= left
        and left + face <= tile.right + 1e-6
        and tile.top - 1e-6 <= top
        and top + face <= tile.bottom + 1e-6
        for tile in tiles(size, parts)
    )


@given(SIZES, st.sampled_from([1, 2, 4]))
def test_tiles_stay_in_the_picture(size: tuple[int, int], parts: int) -> None:
    side = max(size) / parts
    for tile in tiles(size, parts):
        assert 0 <= tile.left < tile.right <= size[0] + 1e-6
        assert 0 <= tile.top < tile.bottom <= size[1] + 1e-6
        assert tile.side <= side + 1e-6


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_box_comes_back_to_where_the_pixels_were(quarters: int) -> None:
    from PIL import Image

    picture = Image.new("L", (40, 30))
    picture.paste(255, (5, 7, 15, 11))
    box = picture.rotate(90 * quarters, expand=True).getbbox()
    assert box is not None
    (back,) = turned_back(np.array([row(*box)]), quarters, picture.size)
    assert back[:4].tolist() == [5, 7, 15, 11]
    assert sorted([back[5:7].tolist(), back[7:9].tolist()]) in ([[5, 7], [15, 11]], [[5, 11], [15, 7]])


def test_boxes_of_one_face_become_their_weighted_mean() -> None:
    rows = np.array([row(0, 0, 10, 10, 0.6), row(1, 0, 11, 10, 0.9), row(50, 50, 60, 60, 0.7)])
    kept = weighted_suppression(rows, 0.3)
    assert kept[:, 4].tolist() == [0.9, 0.7]
    assert kept[0, 0] == pytest.approx(0.6)
    assert len(weighted_suppression(rows[:0], 0.3)) == 0


def test_a_box_in_a_more_certain_one_goes_and_a_neighbour_stays() -> None:
    rows = np.array([row(0, 0, 100, 100, 0.9), row(90, 90, 120, 120, 0.8), row(20, 20, 40, 40, 0.7)])
    assert without_nested(rows, 0.7)[:, 4].tolist() == [0.9, 0.8]


def test_overlap_is_intersection_over_union() -> None:
    others = np.array([row(0, 0, 10, 10), row(5, 0, 15, 10), row(20, 20, 30, 30), row(3, 3, 3, 3)])
    assert overlap(np.array(row(0, 0, 10, 10)), others).round(4).tolist() == [1, 0.3333, 0, 0]


def test_a_region_s_rows_lie_in_the_picture() -> None:
    moved = shifted(np.array([row(0.5, 0.5, 1, 1)]), Region(100, 50, 300, 150))
    assert moved[0].tolist() == row(200, 150, 300, 250)


def test_faces_are_cut_to_the_picture_and_sorted() -> None:
    rows = np.array([row(-10, 0, 10, 20, 0.6), row(50, 50, 200, 100, 0.8), row(-20, -20, -5, -5, 0.9)])
    found = faces(rows, (100, 100))
    assert [(face.x, face.y, face.width, face.height) for face in found] == [(0.5, 0.5, 0.5, 0.5), (0, 0, 0.1, 0.2)]
    assert all(0 <= value <= 1 for face in found for value in face.landmarks)
