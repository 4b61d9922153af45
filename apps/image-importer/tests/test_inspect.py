"""Real files of every format through the decoders, alone and in the bounded process."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from image_importer.inspect import inspect_file
from PIL import Image

from pcloud.bounded import close_bounded
from pcloud.decoding import decode
from pcloud.errors import Rejected

MIME = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "TIFF": "image/tiff",
    "HEIF": "image/heic", "AVIF": "image/avif",
}  # fmt: skip
ALL_PIXELS = 10**9
INSPECT = "image_importer.inspect:inspect_file"
Make = Callable[..., Path]


@pytest.fixture
async def closed() -> AsyncIterator[None]:
    yield
    await close_bounded()


def facts_of(path: Path, key: str = "bucket-says.txt", most_pixels: int = ALL_PIXELS) -> dict[str, object]:
    with path.open("rb") as file:
        return inspect_file(file, key, most_pixels)


@pytest.mark.parametrize("format", MIME)
def test_a_format_is_known_by_its_content(picture: Make, format: str) -> None:
    facts = facts_of(picture(format))
    assert (facts["mime"], facts["width"], facts["height"]) == (MIME[format], 48, 32)
    assert "takenAt" not in facts


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_width_and_height_are_those_of_the_upright_picture(picture: Make, format: str, orientation: int) -> None:
    facts = facts_of(picture(format, orientation))
    assert (facts["width"], facts["height"]) == (48, 32)


def photo_tags() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x010E] = "Canon", "Canon EOS 5D", "The pier"
    exif[0x8769] = {0x9003: "2024:05:01 12:00:00", 0x9011: "+02:00", 0x829A: 1 / 125, 0x829D: 2.8, 0x8827: 400}
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0), 3: "W", 4: (13.0, 15.0, 0.0)}
    return exif


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_the_facts_of_a_photo_are_read_from_any_format(picture: Make, format: str) -> None:
    facts = facts_of(picture(format, 6, photo_tags()))
    assert facts == {
        "mime": MIME[format], "width": 48, "height": 32, "title": "The pier", "camera": "Canon EOS 5D",
        "takenAt": "2024-05-01T10:00:00.000Z", "takenAtZone": "+02:00", "exposure": "1/125 s", "fNumber": 2.8,
        "iso": 400, "latitude": 52.5, "longitude": -13.25,
    }  # fmt: skip


def test_damaged_exif_spoils_no_picture(picture: Make) -> None:
    path = picture("JPEG", 1, photo_tags())
    data = bytearray(path.read_bytes())
    at = data.index(b"Exif\0\0") + 14
    data[at : at + 60] = b"\xff" * 60
    path.write_bytes(data)
    assert facts_of(path)["width"] == 48


@pytest.mark.parametrize("format", MIME)
def test_a_truncated_file_is_rejected(picture: Make, format: str, tmp_path: Path) -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    whole = tmp_path / "whole"
    noise.save(whole, format=format)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(Rejected, match=r"broken|not an image"):
        facts_of(whole)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, world\n" * 100, "not an image"),
        (b"\xff\xd8\xff\xe0", "not an image|broken"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "not an image|broken"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%PDF-1.7\n", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 50, "not an image|broken"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 50, "not an image"),
    ],
)
def test_a_file_that_is_not_an_image_is_rejected_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=reason):
        facts_of(path)


def test_a_raw_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    Image.new("RGB", (8, 8)).save(path, format="TIFF", tiffinfo={254: 1})
    with pytest.raises(Rejected, match="raw"):
        facts_of(path)


def png_bomb(width: int, height: int) -> bytes:
    """A file that claims width × height pixels, and holds at most 100 MB of them, all black."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes(min((width // 8 + 1) * height, 100_000_000)), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(png_bomb(2**30, 2**30))
    with pytest.raises(Rejected, match="pixels"):
        facts_of(path, most_pixels=200_000_000)


@pytest.mark.parametrize("format", MIME)
async def test_the_bounded_process_reads_what_is_read_here(picture: Make, format: str, closed: None) -> None:
    """Whatever a format needs is loaded before the process gives its rights up."""
    path = picture(format, 6, photo_tags())
    assert await decode(INSPECT, path, "a_b", ALL_PIXELS) == facts_of(path, "a_b")


async def test_the_bounded_process_gives_reasons(tmp_path: Path, closed: None) -> None:
    bad, bomb = tmp_path / "bad", tmp_path / "bomb"
    bad.write_bytes(b"no picture")
    bomb.write_bytes(png_bomb(40_000, 20_000))
    with pytest.raises(Rejected, match="not an image"):
        await decode(INSPECT, bad, "", ALL_PIXELS)
    with pytest.raises(Rejected, match="memory"):
        await decode(INSPECT, bomb, "", 2 * 10**9, memory=256 * 2**20)
