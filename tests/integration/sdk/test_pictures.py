"""Pictures of every format are opened and decoded in a confined process, which can load nothing any more."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from pcloud.bounded import close_bounded
from pcloud.decoding import decode
from pcloud.errors import Rejected
from pcloud.pictures import FORMATS

MODULE = """
from typing import BinaryIO
from pcloud.pictures import open_picture

def corner(file: BinaryIO) -> tuple[str, int]:
    with open_picture(file) as picture:
        return str(picture.format), picture.convert("RGB").getpixel((0, 0))[0]
"""


@pytest.fixture
async def corner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    (tmp_path / "corners.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "corners:corner"
    await close_bounded()
    sys.modules.pop("corners", None)


async def test_every_format_is_decoded(corner: str, tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    for format in (*FORMATS, "MPO"):
        path = tmp_path / f"picture.{format}"
        picture = Image.new("RGB", (64, 48), (255, 0, 0))
        more = {"save_all": True, "append_images": [picture]} if format == "MPO" else {}
        picture.save(path, format=format, **more)
        kind, red = await decode(corner, path)
        assert kind == format and red > 240, format


async def test_another_format_is_refused(corner: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.bmp")
    with pytest.raises(Rejected, match="cannot identify"):
        await decode(corner, tmp_path / "picture.bmp")
