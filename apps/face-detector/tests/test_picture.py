"""Files as the networks get them: upright, RGB, of a working size; bad files are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pillow_heif
import pytest
from face_detector import picture as decoding
from face_detector.picture import WORKING_SIDE
from PIL import Image

from pcloud.errors import Rejected

pillow_heif.register_heif_opener()


def upright(path: Path, most_pixels: int) -> Image.Image:
    with path.open("rb") as file:
        return decoding.upright(file, most_pixels)


TO_STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("orientation", TO_STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_picture_stands_upright_and_is_turned_once(tmp_path: Path, format: str, orientation: int) -> None:
    seen = Image.new("RGB", (96, 64), "white")
    seen.paste("red", (0, 0, 32, 32))  # the upper left corner, as a person sees it
    turn = TO_STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    (seen if turn is None else seen.transpose(turn)).save(path, format=format, exif=exif.tobytes())
    picture = upright(path, 10**6)
    assert (picture.size, picture.mode) == ((96, 64), "RGB")
    red, green, blue = picture.getpixel((16, 16))  # type: ignore[misc]
    assert red > 200 and green < 60 and blue < 60
    assert min(picture.getpixel((80, 48))) > 200  # type: ignore[type-var,arg-type]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture"
    format = {"RGBA": "PNG", "LA": "PNG", "P": "GIF"}.get(mode, "TIFF")
    Image.new("L", (9, 7), 200).convert(mode).save(path, format=format)
    assert (upright(path, 10**6).mode, upright(path, 10**6).size) == ("RGB", (9, 7))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(path, format="PNG")
    assert upright(path, 100).getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.new("I;16", (4, 4), 40_000).save(path, format="PNG")
    assert upright(path, 100).getpixel((1, 1)) == pytest.approx((156, 156, 156), abs=1)


def test_a_large_picture_is_made_small(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (4000, 1000)).save(path, format="JPEG")
    assert upright(path, 10**7).size == (WORKING_SIDE, WORKING_SIDE // 4)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_file_that_is_not_an_image_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(Rejected, match="decoded"):
        upright(path, 100)


def test_too_many_pixels_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (11, 10)).save(path, format="PNG")
    with pytest.raises(Rejected, match="11 × 10"):
        upright(path, 100)
