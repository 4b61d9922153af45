"""Wires the detection to the SDK and runs it: `python -m face_detector`."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pcloud.app import App

from .detection import Detection
from .download import download
from .pool import Pool
from .settings import Settings

__all__ = ["main"]


def main() -> None:
    app = App()
    settings = Settings.from_mapping(app.settings)
    pool = Pool(settings)

    async def presign(bucket: str, key: str) -> str:
        answer = await app.call("role:object-storage/get-object", bucket=bucket, key=key)
        return str(answer["url"])

    folder = _empty(app.data / "incoming")
    detection = Detection(settings, app.graph, folder, presign=presign, fetch=download, look=pool.detect)

    @app.lifespan
    @asynccontextmanager
    async def workers() -> AsyncIterator[None]:
        async with pool:
            yield

    @app.action("detect-faces")
    async def detect_faces(image: str) -> dict[str, Any]:
        return await detection.detect_faces(image)

    app.run()


def _empty(folder: Path) -> Path:
    """Remove what a killed process left behind; its images come again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


if __name__ == "__main__":
    main()
