"""How YuNet's outputs are read, on outputs made by hand: its weights are the owner's to supply."""

from __future__ import annotations

import numpy as np
import pytest
from face_detector.geometry import faces
from face_detector.yunet import YuNet
from PIL import Image

SIDE = 320


class HandMade:
    """A model that sees one face of 64 × 128 pixels around (168, 92) with eyes at (150, 80) and (186, 80)."""

    width = height = SIDE
    fingerprint = "f" * 64

    def __init__(self) -> None:
        self.seen: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        self.seen = values
        outputs: list[np.ndarray] = []
        for stride in (8, 16, 32):
            cells = SIDE // stride
            kinds = {width: np.zeros((cells * cells, width), np.float32) for width in (4, 10)}
            certain = [np.zeros((cells * cells, 1), np.float32) for _ in range(2)]
            if stride == 8:
                at = 11 * cells + 20  # row 11, column 20
                certain[0][at], certain[1][at] = 0.9, 1.2
                kinds[4][at] = 168 / 8 - 20, 92 / 8 - 11, np.log(64 / 8), np.log(128 / 8)
                points = [150, 80, 186, 80, 168, 95, 155, 110, 181, 110]
                kinds[10][at] = [value / 8 - (20, 11)[i % 2] for i, value in enumerate(points)]
            outputs += [kinds[10], certain[0], kinds[4], certain[1]]
        return outputs


@pytest.fixture
def yunet(monkeypatch: pytest.MonkeyPatch, tmp_path) -> YuNet:  # type: ignore[no-untyped-def]
    model = HandMade()
    monkeypatch.setattr("face_detector.yunet.Model", lambda _: model)
    return YuNet(tmp_path)


def test_an_output_is_read_as_a_face_in_the_picture_s_own_parts(yunet: YuNet) -> None:
    picture = Image.new("RGB", (640, 320))  # half as high as wide: the upper half of the square
    (face,) = yunet.detect(picture)
    assert (face.x, face.y) == pytest.approx(((168 - 32) / 320, (92 - 64) / 160), abs=1e-4)
    assert (face.width, face.height) == pytest.approx((64 / 320, 128 / 160), abs=1e-4)
    assert face.landmarks[:4] == pytest.approx((150 / 320, 80 / 160, 186 / 320, 80 / 160), abs=1e-4)
    assert face.confidence == pytest.approx(0.9**0.5, abs=1e-4)


def test_the_network_sees_blue_green_red_up_to_255(yunet: YuNet) -> None:
    yunet.detect(Image.new("RGB", (10, 10), (255, 128, 0)))
    assert yunet._model.seen[0, 0].tolist() == [0, 128, 255]  # type: ignore[attr-defined]


def test_a_version_is_the_weights_fingerprint(yunet: YuNet) -> None:
    assert (yunet.name, yunet.version) == ("yunet", "f" * 12)
    assert faces(np.zeros((0, 15)), (1, 1)) == []
