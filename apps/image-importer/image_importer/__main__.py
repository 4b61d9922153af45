"""Wires the importer to the SDK and runs it: `python -m image_importer`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pcloud.app import App
from pcloud.bounded import run_bounded

from .door import inspect_file
from .download import download
from .importer import Importer, NewObject
from .settings import Settings

__all__ = ["build"]


def build(app: App) -> Importer:
    """An importer that works through `app`."""
    settings = Settings.from_mapping(app.settings)

    async def presign(bucket: str, key: str) -> str:
        answer = await app.call("role:object-storage/get-object", bucket=bucket, key=key)
        return str(answer["url"])

    async def look(file: Path, key: str) -> dict[str, Any]:
        return await run_bounded(
            inspect_file, str(file), key, settings.pixels, seconds=settings.seconds, memory=settings.memory
        )

    return Importer(settings, app.graph, _empty(app.data / "incoming"), presign=presign, fetch=download, inspect=look)


def _empty(folder: Path) -> Path:
    """Remove what a killed process left behind; its objects come again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def main() -> None:
    app = App()
    importer = build(app)

    @app.action("new-object")
    async def new_object(
        bucket: str, key: str, etag: str = "", size: int = 0, modified: str = "", content_type: str = ""
    ) -> dict[str, Any]:
        return await importer.import_object(NewObject(bucket, key, etag, size, modified))

    app.run()


if __name__ == "__main__":
    main()
