"""Shared by these tests: the app on the import path, pictures, and an object store that counts requests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from pcloud.manifest_file import load_manifest

sys.path.insert(0, str(Path(__file__).parents[1]))

# How a picture that a person sees upright is stored in the file under each EXIF orientation.
TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
GRANTED = {use.call for use in load_manifest((Path(__file__).parents[1] / "app.yaml").read_text()).uses}
CORNERS = {(0, 0): (255, 0, 0), (1, 0): (0, 255, 0), (0, 1): (0, 0, 255), (1, 1): (255, 255, 0)}


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """`picture("JPEG", orientation=6)`: 1200 × 800 pixels as a person sees it, each quarter of another colour (`CORNERS`)."""
    import pillow_heif

    pillow_heif.register_heif_opener()

    def make(format: str = "JPEG", orientation: int = 1, **options: object) -> Path:
        image = Image.new("RGB", (1200, 800))
        for (x, y), colour in CORNERS.items():
            image.paste(colour, (x * 600, y * 400, x * 600 + 600, y * 400 + 400))
        tags = Image.Exif()
        tags[0x0112] = orientation
        if (turn := TO_STORED[orientation]) is not None:
            image = image.transpose(turn)
        path = tmp_path / f"picture-{format}-{orientation}"
        image.save(path, format=format, exif=tags.tobytes(), **options)
        return path

    return make


class Store:
    """An object store with presigned addresses. `objects` by `bucket/key`; `asked`: reads and writes, in order."""

    def __init__(self, data: Path):
        self.data = data
        self.address = ""
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.images: dict[str, dict[str, str]] = {}
        self.queries = 0
        self.refusals = 0  # for addresses that have ended

    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> dict[str, str]:
        assert arguments
        assert target in GRANTED
        return {"url": f"{self.address}/{arguments['bucket']}/{arguments['key']}"}

    async def query(self, document: str, variables: object = None, /) -> dict[str, object]:
        self.queries += 1
        assert isinstance(variables, dict)
        return {"getImage": self.images.get(variables["id"])}

    def add(self, id: str, path: Path) -> None:
        self.objects[f"images/{id}"] = path.read_bytes()
        self.images[id] = {"place": f"images/{id}", "sha256": f"{id}00"}

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append((request.method, name))
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=403)
        if request.method == "PUT":
            self.objects[name] = await request.read()
        elif name not in self.objects:
            return web.Response(status=404)
        return web.Response(body=self.objects[name] if request.method == "GET" else b"")


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Store]:
    """The store itself, as a server on a free port."""
    store = Store(tmp_path)
    server = web.Application(client_max_size=2**30)
    server.router.add_route("*", "/{name:.*}", store.answer)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    store.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield store
    await runner.cleanup()
