"""Small pictures of real files of every kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import photos.shrink
import pytest
from photos.shrink import SIZES, shrink
from PIL import Image, ImageCms

from pcloud.errors import Rejected

from .conftest import CORNERS


def shown(path: Path, size: str = "tile") -> Image.Image:
    return Image.open(io.BytesIO(shrink(path.open("rb"), SIZES)[size]))


def near(found: object, wanted: tuple[int, ...]) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) < 24 for a, b in zip(found, wanted, strict=True))


def is_upright(image: Image.Image) -> bool:
    plain = image.convert("RGB")
    return all(
        near(
            plain.getpixel((plain.width // 4 + x * plain.width // 2, plain.height // 4 + y * plain.height // 2)), colour
        )
        for (x, y), colour in CORNERS.items()
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_is_upright(picture: Callable[..., Path], orientation: int) -> None:
    made = shown(picture("JPEG", orientation))
    assert made.size == (480, 320)
    assert is_upright(made)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "HEIF", "AVIF"])
def test_every_format_is_shown_upright(picture: Callable[..., Path], format: str) -> None:
    assert is_upright(shown(picture(format, orientation=1 if format == "GIF" else 6)))


def test_both_sizes_come_from_one_decoding_and_never_grow(picture: Callable[..., Path]) -> None:
    made = {name: Image.open(io.BytesIO(data)).size for name, data in shrink(picture().open("rb"), SIZES).items()}
    assert made == {"tile": (480, 320), "screen": (1200, 800)}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_stays_so(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (600, 600), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 300, 600))
    path = tmp_path / "picture.png"
    image.convert(mode).save(path)
    made = shown(path).convert("RGBA")
    assert made.getpixel((60, 240))[3] < 16 and made.getpixel((420, 240))[3] > 240  # type: ignore[index]


def test_sixteen_bits_of_grey_are_not_all_white(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("I;16", (100, 100), 128 * 256).save(path)
    assert near(shown(path).convert("RGB").getpixel((50, 50)), (128, 128, 128))


def test_the_colours_of_print_are_shown_as_those_of_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    Image.new("CMYK", (100, 100), (0, 255, 255, 0)).save(path)
    assert near(shown(path).convert("RGB").getpixel((50, 50)), (255, 0, 0))


def test_a_photographs_colour_space_is_kept_and_its_place_is_not(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = Image.Exif()
    tags.get_ifd(0x8825)[1] = "N"
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (100, 100)).save(path, icc_profile=profile, exif=tags.tobytes())
    made = shown(path)
    assert made.info.get("icc_profile") == profile
    assert not made.getexif()


def test_a_very_narrow_picture_has_a_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (1, 5000)).save(path)
    assert shown(path).size == (1, 480)


def test_a_broken_file_is_refused(tmp_path: Path, picture: Callable[..., Path]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not an image")
    with pytest.raises(OSError):
        shrink(broken.open("rb"), SIZES)
    half = tmp_path / "half.png"
    whole = picture("PNG").read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((OSError, SyntaxError)):
        shrink(half.open("rb"), SIZES)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(
    picture: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos.shrink, "MOST_PIXELS", 1200 * 800 - 1)
    with pytest.raises(Rejected, match="1200 × 800 pixels"):
        shrink(picture().open("rb"), SIZES)
