"""The adapter for MediaPipe's BlazeFace full-range (sparse), with its face mesh as a second opinion.

It looks at the whole picture, at tiles of a half, and at tiles of a quarter only if small or many faces are found;
boxes above .5, weighted suppression; a box stays if the face mesh gives it a probability above .5.

Anchors and decoding: mediapipe/modules/face_detection/face_detection_full_range.pbtxt (one layer, stride 4, 48 × 48).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .face import Face
from .facemesh import FaceMesh
from .geometry import SCORE, Region, faces, shifted, weighted_suppression, without_nested
from .model import Model
from .pyramid import tiles
from .turning import any_way_up

__all__ = ["BlazeFace"]

_GRID = 48
_POINTS = 6  # right eye, left eye, nose, mouth, right ear, left ear, from the person's own point of view
_LEAST_SCORE = 0.5
_OVERLAP, _NESTED = 0.3, 0.7
_SMALL, _MANY = 0.1, 4
_EDGE = 0.01


class BlazeFace:
    name = "blazeface-full-range"
    version = "1"

    def __init__(self, weights: Path, mesh: Path) -> None:
        self._model, self._mesh = Model(weights), FaceMesh(mesh)
        steps = (np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID
        self._anchors = np.stack([np.tile(steps, _GRID), np.repeat(steps, _GRID)], axis=1)

    def detect(self, picture: Image.Image) -> list[Face]:
        return faces(any_way_up(picture, self._upright), picture.size)

    def _upright(self, picture: Image.Image) -> np.ndarray:
        rows = self._look(picture, [*tiles(picture.size, 1), *tiles(picture.size, 2)])
        if self._look_closer(rows, picture.size):
            rows = np.concatenate([rows, self._look(picture, tiles(picture.size, 4))])
        merged = weighted_suppression(rows, _OVERLAP)
        judged = merged[[self._mesh.is_face(picture, row) for row in merged]] if len(merged) else merged
        return without_nested(judged, _NESTED)

    def _look_closer(self, rows: np.ndarray, size: tuple[int, int]) -> bool:
        found = weighted_suppression(rows, _OVERLAP)
        sides = (found[:, 2:4] - found[:, :2]).max(axis=1)
        return len(found) >= _MANY or bool((sides < _SMALL * max(size)).any())

    def _look(self, picture: Image.Image, regions: list[Region]) -> np.ndarray:
        return np.concatenate([self._region(picture, region) for region in regions])

    def _region(self, picture: Image.Image, region: Region) -> np.ndarray:
        boxes, logits = self._model(_square(picture, region, self._model.width))
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -50, 50)))
        sure = scores > _LEAST_SCORE
        raw = boxes[sure] / self._model.width
        centre = raw[:, :2] + self._anchors[sure]
        points = raw[:, 4:].reshape(-1, _POINTS, 2) + self._anchors[sure][:, np.newaxis]
        half = raw[:, 2:4] / 2
        rows = np.concatenate(
            [centre - half, centre + half, scores[sure, np.newaxis], points.reshape(-1, 2 * _POINTS)], axis=1
        )
        return _whole(shifted(rows, region), region, picture.size)


def _square(picture: Image.Image, region: Region, side: int) -> np.ndarray:
    """The region in the upper left of a black square, from -1 to 1."""
    scale = side / region.side
    size = (
        max(1, round((region.right - region.left) * scale)),
        max(1, round((region.bottom - region.top) * scale)),
    )
    part = picture.resize(size, Image.Resampling.BILINEAR, box=(region.left, region.top, region.right, region.bottom))
    square = np.full((side, side, 3), -1, dtype=np.float32)
    square[: size[1], : size[0]] = np.asarray(part, dtype=np.float32) / 127.5 - 1
    return square


def _whole(rows: np.ndarray, region: Region, size: tuple[int, int]) -> np.ndarray:
    """Without the faces that a tile cuts: the next tile, or the level above, has them whole."""
    margin = _EDGE * region.side
    keep = rows[:, SCORE] > 0
    if region.left > 0:
        keep &= rows[:, 0] > region.left + margin
    if region.top > 0:
        keep &= rows[:, 1] > region.top + margin
    if region.right < size[0]:
        keep &= rows[:, 2] < region.right - margin
    if region.bottom < size[1]:
        keep &= rows[:, 3] < region.bottom - margin
    return rows[keep]
