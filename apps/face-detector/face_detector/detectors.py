"""The only module that names the adapters: settings in, detector out."""

from __future__ import annotations

from pathlib import Path

from .face import Detector

__all__ = ["KNOWN_NAMES", "WEIGHTS", "open_detector"]

WEIGHTS = Path(__file__).parent / "weights"
KNOWN_NAMES = ("blazeface-full-range", "yunet")  # names in the graph's segments of this app


def open_detector(detector: str, model: str) -> Detector:
    """Raises `Unavailable` if weights are missing or can't be used."""
    if detector == "yunet":
        from .yunet import YuNet

        return YuNet(Path(model))
    from .blazeface import BlazeFace

    return BlazeFace(WEIGHTS / "face_detection_full_range_sparse.tflite", WEIGHTS / "face_landmark.tflite")
