"""Wires the detection to the SDK and runs it: `python -m face_detector`."""

from __future__ import annotations

from typing import Any

from pcloud.app import App

from .detection import Detection
from .looking import Looking
from .settings import Settings

__all__ = ["main"]


def main() -> None:
    app = App()
    settings = Settings.from_mapping(app.settings)
    detection = Detection(settings, app.graph, app.objects, look=Looking(settings).look)

    @app.action("detect-faces")
    async def detect_faces(image: str) -> dict[str, Any]:
        return await detection.detect_faces(image)

    app.run()


if __name__ == "__main__":
    main()
