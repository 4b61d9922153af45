"""Boxes as arrays, in pixels. A row is a face: left, top, right, bottom, score, then the landmarks' x and y
alternately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face import Face

__all__ = ["Region", "faces", "overlap", "shifted", "turned_back", "weighted_suppression", "without_nested"]

SCORE, POINTS = 4, 5


@dataclass(frozen=True)
class Region:
    """A part of a picture, in its pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        """The side of the square that holds it, at the upper left."""
        return max(self.right - self.left, self.bottom - self.top)


def shifted(rows: np.ndarray, region: Region) -> np.ndarray:
    """Rows in fractions of a region's square as rows in the picture's pixels."""
    moved = rows.copy()
    columns = [c for c in range(rows.shape[1]) if c != SCORE]
    moved[:, columns] *= region.side
    across, down = _across_and_down(rows.shape[1])
    moved[:, across] += region.left
    moved[:, down] += region.top
    return moved


def _across_and_down(columns: int) -> tuple[list[int], list[int]]:
    return [0, 2, *range(POINTS, columns, 2)], [1, 3, *range(POINTS + 1, columns, 2)]


def _shared(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    upper = np.maximum(one[:2], others[:, :2])
    lower = np.minimum(one[2:4], others[:, 2:4])
    return np.prod(np.clip(lower - upper, 0, None), axis=1)


def _areas(rows: np.ndarray) -> np.ndarray:
    return np.prod(rows[:, 2:4] - rows[:, :2], axis=1)


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with each of several."""
    shared = _shared(one, others)
    return shared / np.maximum(_areas(one[np.newaxis]) + _areas(others) - shared, 1e-9)


def without_nested(rows: np.ndarray, threshold: float) -> np.ndarray:
    """Without the boxes that lie, by more than `threshold` of their area, in a more certain one: mouth and nose of a
    close-up can look like a small face. `rows`: most certain first."""
    kept = [i for i, row in enumerate(rows) if not (_shared(row, rows[:i]) > threshold * _areas(row[np.newaxis])).any()]
    return rows[kept]


def weighted_suppression(rows: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression that keeps each cluster's mean, weighted by score: steadier boxes than the best alone.

    As in MediaPipe's NonMaxSuppressionCalculator (WEIGHTED). The score is the cluster's highest; most certain first.
    """
    left = rows[np.argsort(-rows[:, SCORE], kind="stable")]
    kept: list[np.ndarray] = []
    while len(left):
        near = overlap(left[0], left) > threshold
        near[0] = True
        cluster = left[near]
        mean = np.average(cluster, axis=0, weights=cluster[:, SCORE])
        mean[SCORE] = cluster[0, SCORE]
        kept.append(mean)
        left = left[~near]
    return np.stack(kept) if kept else rows[:0]


def turned_back(rows: np.ndarray, quarters: int, size: tuple[int, int]) -> np.ndarray:
    """Rows of a picture that was turned counter-clockwise by `quarters` × 90°, in pixels of the original (`size`)."""
    width, height = size
    across, down = _across_and_down(rows.shape[1])
    x, y = rows[:, across], rows[:, down]
    back = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarters % 4]
    turned = rows.copy()
    turned[:, across], turned[:, down] = back
    corners = turned[:, :4].reshape(-1, 2, 2)
    turned[:, :2], turned[:, 2:4] = corners.min(axis=1), corners.max(axis=1)
    return turned


def faces(rows: np.ndarray, size: tuple[int, int]) -> list[Face]:
    """Rows as faces, cut to the picture; most certain first, then from left to right, so that the order never
    varies."""
    width, height = size
    scale = np.where(np.arange(rows.shape[1] - POINTS) % 2 == 0, width, height)
    found: list[Face] = []
    for row in rows:
        left, right = np.clip(row[[0, 2]] / width, 0, 1)
        top, bottom = np.clip(row[[1, 3]] / height, 0, 1)
        if right <= left or bottom <= top:
            continue
        points = np.clip(row[POINTS:] / scale, 0, 1)
        x, y, across, down, score = _rounded(left, top, right - left, bottom - top, row[SCORE])
        found.append(Face(x, y, across, down, _rounded(*points), score))
    return sorted(found, key=lambda face: (-face.confidence, face.x, face.y))


def _rounded(*values: float) -> tuple[float, ...]:
    """To five places: a fifth of a pixel in 50 megapixels, and short in the log."""
    return tuple(round(float(value), 5) for value in values)
