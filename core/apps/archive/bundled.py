"""The apps that come with PCloud: their names, and whether an archive is exactly one of them."""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from core.apps.archive.archive import MANIFEST, CheckedArchive, content_hash, read_archive
from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.pack import packed
from core.shipped.fetched import FetchedFiles, FetchProgress, quiet
from core.shipped.package import LIST, Package, read_packages
from pcloud.errors import NotFound, Rejected, Unavailable
from pcloud.manifest import Manifest
from pcloud.manifest_file import load_manifest
from pcloud.packing import packed_members

__all__ = ["BundledApps"]

log = logging.getLogger("pcloud.app")
ARCHIVE = ".tar.gz"


class BundledApps:
    """`folder` holds an archive or a folder per app; None: no apps are bundled. An app lists the files that come from
    packages in `from-packages.json`; those that its archive lacks are taken from `files`. Reads the disk: call it in a
    thread."""

    def __init__(self, folder: Path | None, bounds: ArchiveBounds, files: FetchedFiles | None = None):
        self._folder = folder
        self._bounds = bounds
        self._files = files

    def manifests(self) -> Mapping[str, Manifest]:
        """The manifests of all bundled apps, by name; unreadable ones are left out."""
        found: dict[str, Manifest] = {}
        for name, source in self._sources().items():
            try:
                manifest = self._manifest(source)
            except (OSError, Rejected) as error:
                log.warning("the bundled app at %s can't be read: %s", source, error)
                continue
            if manifest.name == name:
                found[name] = manifest
        return found

    def archive(self, name: str, progress: FetchProgress = quiet) -> bytes:
        """Return the whole archive. Raises `NotFound`, `Rejected` if it can't be packed, or the errors of `FetchedFiles`."""
        if name not in (manifests := self.manifests()):
            raise NotFound(f"no app {name!r} comes with PCloud: {', '.join(manifests) or 'no app is bundled'}")
        stored = self._stored(name)
        lacking = self._lacking(stored)
        if lacking and self._files is None:
            raise Unavailable(f"{name} can't be completed: no folder for fetched files is set")
        return completed(stored, self._files.provide(lacking, progress)) if lacking and self._files else stored.data

    def packages(self, name: str) -> tuple[Package, ...]:
        """The packages from which the app fetches files, even if its folder has them already. Raises `NotFound` or `Rejected`."""
        return packages_of(self._stored(name))

    def sha256(self, name: str) -> str:
        """The sha256 of a bundled app's archive; '' for any other app, and before its files are fetched."""
        try:
            stored = self._stored(name)
        except (NotFound, Rejected):
            return ""
        lacking = self._lacking(stored)
        if not lacking:
            return stored.sha256
        fetched = self._files.held(lacking) if self._files else None
        return hashlib.sha256(completed(stored, fetched)).hexdigest() if fetched else ""

    def holds(self, checked: CheckedArchive) -> bool:
        """Return True if these are exactly the files of the bundled app of that name. Fetches nothing."""
        try:
            stored = self._stored(checked.manifest.name)
        except NotFound:
            return False
        except Rejected as error:
            log.warning("the bundled app %s can't be packed: %s", checked.manifest.name, error)
            return False
        hashes = [(path, executable, hashlib.sha256(data).hexdigest()) for path, executable, data in members(stored)]
        hashes += [(file.to, False, file.sha256) for package in self._lacking(stored) for file in package.files]
        return content_hash(hashes) == checked.content

    def _sources(self) -> dict[str, Path]:
        """Return the archive or the folder of each app."""
        if self._folder is None:
            return {}
        archives = {file.name.removesuffix(ARCHIVE): file for file in self._folder.glob(f"*{ARCHIVE}")}
        folders = {file.parent.name: file.parent for file in self._folder.glob(f"*/{MANIFEST}")}
        return dict(sorted((archives | folders).items()))

    def _manifest(self, source: Path) -> Manifest:
        if source.is_dir():
            file = source / MANIFEST
            return load_manifest(file.read_bytes(), str(file))
        return read_archive(source, self._bounds).manifest

    def _stored(self, name: str) -> CheckedArchive:
        """Return the archive, without files that are not fetched yet. Raises `NotFound` or `Rejected`."""
        source = self._sources().get(name)
        if source is None:
            raise NotFound(f"no app {name!r} comes with PCloud")
        return packed(source, self._bounds) if source.is_dir() else read_archive(source, self._bounds)

    def _lacking(self, stored: CheckedArchive) -> list[Package]:
        """Return the packages with the files that the archive lists and does not hold."""
        return lacking_of(packages_of(stored), stored.files)


def packages_of(stored: CheckedArchive) -> tuple[Package, ...]:
    """Return the packages that the archive lists."""
    if LIST not in stored.files:
        return ()
    text = next(data for path, _, data in members(stored) if path == LIST)
    return read_packages(text, f"{LIST} of {stored.manifest.name}")


def lacking_of(packages: Sequence[Package], here: Mapping[str, object]) -> list[Package]:
    cut = (replace(package, files=tuple(file for file in package.files if file.to not in here)) for package in packages)
    return [package for package in cut if package.files]


def completed(stored: CheckedArchive, files: Mapping[str, bytes]) -> bytes:
    """Return the archive with these files added, byte for byte as packing a folder with all of them."""
    added = ((path, False, data) for path, data in files.items())
    return packed_members(sorted((*members(stored), *added)))


def members(stored: CheckedArchive) -> list[tuple[str, bool, bytes]]:
    """Return path, executable flag and bytes of each file of a checked archive."""
    with tarfile.open(fileobj=io.BytesIO(stored.data)) as tar:
        found = [(info.name, bool(info.mode & 0o100), tar.extractfile(info)) for info in tar if info.isfile()]
        return [(path, executable, file.read()) for path, executable, file in found if file is not None]
