"""MediaPipe's face mesh as a judge: is there a face in this box? Its 468 points are not used.

The box is turned so that the eyes are level, made square and half again as large, as in MediaPipe's
face_detection_front_detection_to_roi.pbtxt.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from .geometry import POINTS
from .model import Model

__all__ = ["FaceMesh"]

_ENLARGED = 1.5
_LEAST_FLAG = 0.5


class FaceMesh:
    def __init__(self, weights: Path) -> None:
        self._model = Model(weights)

    def is_face(self, picture: Image.Image, row: np.ndarray) -> bool:
        return self.flag(picture, row) > _LEAST_FLAG

    def flag(self, picture: Image.Image, row: np.ndarray) -> float:
        """The probability of a face at `row` (see geometry)."""
        outputs = self._model(self._crop(picture, row))
        logit = float(min(outputs, key=np.size).reshape(-1)[0])
        return 1 / (1 + math.exp(-max(-100.0, min(100.0, logit))))

    def _crop(self, picture: Image.Image, row: np.ndarray) -> np.ndarray:
        """The turned square, from 0 to 1; everything outside of the picture is black."""
        size = self._model.width
        right_eye, left_eye = row[POINTS : POINTS + 2], row[POINTS + 2 : POINTS + 4]
        angle = math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0])
        step = max(row[2] - row[0], row[3] - row[1]) * _ENLARGED / size
        across, down = step * math.cos(angle), step * math.sin(angle)
        x, y = (row[0] + row[2]) / 2, (row[1] + row[3]) / 2
        middle = size / 2
        matrix = (across, -down, x - middle * (across - down), down, across, y - middle * (across + down))
        crop = picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        return np.asarray(crop, dtype=np.float32) / 255
