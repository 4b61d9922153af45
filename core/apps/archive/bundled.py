"""The applications that come with PCloud: which there are, and whether an archive is exactly one of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from core.apps.archive.archive import MANIFEST, CheckedArchive
from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.pack import packed
from pcloud.errors import NotFound, Rejected
from pcloud.manifest import Manifest, load_manifest

__all__ = ["BundledApps"]

log = logging.getLogger("pcloud.app")


class BundledApps:
    """`folder`: holds a folder per app; None: there are none. Reads the disk: call it in a thread."""

    def __init__(self, folder: Path | None, bounds: ArchiveBounds):
        self._folder = folder
        self._bounds = bounds

    def manifests(self) -> Mapping[str, Manifest]:
        """Of all of them, by name; one that can't be read is left out."""
        found: dict[str, Manifest] = {}
        for file in sorted(self._folder.glob(f"*/{MANIFEST}")) if self._folder else ():
            try:
                manifest = load_manifest(file.read_bytes(), str(file))
            except (OSError, Rejected) as error:
                log.warning("the bundled app at %s can't be read: %s", file.parent, error)
                continue
            if manifest.name == file.parent.name:
                found[manifest.name] = manifest
        return found

    def archive(self, name: str) -> bytes:
        """Raises `NotFound`, or `Rejected` for one that can't be packed."""
        if name not in self.manifests():
            raise NotFound(f"no app {name!r} comes with PCloud: {', '.join(self.manifests()) or 'there is none'}")
        assert self._folder is not None
        return packed(self._folder / name, self._bounds).data

    def sha256(self, name: str) -> str:
        """Of the archive of an app that comes with PCloud; '' for another app."""
        try:
            return packed(self._folder / name, self._bounds).sha256 if self._folder and name in self.manifests() else ""
        except Rejected:
            return ""

    def holds(self, checked: CheckedArchive) -> bool:
        """Whether these are exactly the files of the app of that name that comes with PCloud."""
        folder = self._folder / checked.manifest.name if self._folder else None
        if folder is None or not folder.is_dir():
            return False
        try:
            return packed(folder, self._bounds).content == checked.content
        except Rejected as error:
            log.warning("the bundled app %s can't be packed: %s", checked.manifest.name, error)
            return False
