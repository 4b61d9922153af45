"""The adapter for YuNet as a TFLite file that the owner supplies; any square input from 320 pixels on.

Decoding: FaceDetectorYN in OpenCV's modules/objdetect/src/face_detect.cpp. The outputs have no stable order and are
distinguished by their shapes; class and objectness need no distinction, because only their product counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pcloud.errors import Rejected

from .face import Face
from .geometry import faces, weighted_suppression
from .model import Model
from .turning import any_way_up

__all__ = ["YuNet"]

_STRIDES = (8, 16, 32)
_LEAST_SCORE = 0.7
_OVERLAP = 0.3
_POINTS = 5  # right eye, left eye, nose, right and left corner of the mouth


class YuNet:
    name = "yunet"

    def __init__(self, weights: Path) -> None:
        self._model = Model(weights)
        self.version = self._model.fingerprint[:12]
        self._side = self._model.width
        if self._model.height != self._side or self._side % max(_STRIDES):
            raise Rejected(
                f"{weights} is not a YuNet model that can be used here: its input must be a square of a multiple of 32"
            )

    def detect(self, picture: Image.Image) -> list[Face]:
        return faces(any_way_up(picture, self._look), picture.size)

    def _look(self, picture: Image.Image) -> np.ndarray:
        scale = self._side / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        square = np.zeros((self._side, self._side, 3), dtype=np.float32)
        small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
        square[: size[1], : size[0]] = np.asarray(small)[:, :, ::-1]  # blue, green, red from 0 to 255
        outputs = self._model(square)
        rows = np.concatenate([_decoded(outputs, self._side // stride, stride) for stride in _STRIDES])
        return weighted_suppression(_unscaled(rows, scale), _OVERLAP)


def _unscaled(rows: np.ndarray, scale: float) -> np.ndarray:
    scores = rows[:, 4].copy()
    rows = rows / scale
    rows[:, 4] = scores
    return rows


def _decoded(outputs: Sequence[np.ndarray], cells: int, stride: int) -> np.ndarray:
    """The rows of one stride with enough certainty, in pixels of the model's input."""
    mine = [output for output in outputs if len(output) == cells * cells]
    certain = np.prod([np.clip(output[:, 0], 0, 1) for output in mine if output.shape[1] == 1], axis=0)
    scores = np.sqrt(certain)
    sure = scores > _LEAST_SCORE
    box = next(output for output in mine if output.shape[1] == 4)[sure]
    points = next(output for output in mine if output.shape[1] == 2 * _POINTS)[sure]
    steps = np.arange(cells, dtype=np.float32)
    cell = np.stack([np.tile(steps, cells), np.repeat(steps, cells)], axis=1)[sure]
    centre, half = box[:, :2] + cell, np.exp(box[:, 2:]) / 2
    marks = points.reshape(-1, _POINTS, 2) + cell[:, np.newaxis]
    rows = np.concatenate([centre - half, centre + half, marks.reshape(-1, 2 * _POINTS)], axis=1) * stride
    return np.insert(rows, 4, scores[sure], axis=1)
