"""Wires the importer to the SDK and runs it: `python -m image_importer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pcloud.app import App
from pcloud.decoding import decode

from .importer import Importer, NewObject
from .settings import Settings

__all__ = ["build"]


def build(app: App) -> Importer:
    """An importer that works through `app`."""
    settings = Settings.from_mapping(app.settings)

    async def look(file: Path, key: str) -> Any:
        # By its name: Pillow and its codecs are loaded in the bounded process, and never here.
        return await decode(
            "image_importer.inspect:inspect_file", file, key, settings.pixels,
            seconds=settings.seconds, memory=settings.memory,
        )  # fmt: skip

    return Importer(settings, app.graph, app.objects, inspect=look)


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
