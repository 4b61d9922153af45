"""Where the parts of one app are on this node.

code/<sha256>/   its archive, unpacked; read only for the app
data/            its own folder (0700); kept when the app is removed
keys/            bus.seed, web.key (0600)
log/app.log      its output
snapshots/       its data before an upgrade, until the next one
archive.part     its archive, while it is unpacked
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.apps.tree import remove_tree
from core.apps.tree.disk_errors import removing
from pcloud.subject import check_app

__all__ = ["ENVIRONMENTS", "AppFolders"]

# Beside the apps' folders; an app can't have this name.
ENVIRONMENTS = ".environments"
UNPACKING = ".part"


@dataclass(frozen=True, slots=True)
class AppFolders:
    """`root`: holds this app alone."""

    root: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> AppFolders:
        return cls(folder / check_app(name))

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def fetched(self) -> Path:
        return self.root / "archive.part"

    @property
    def bus_seed(self) -> Path:
        return self.root / "keys" / "bus.seed"

    @property
    def web_key(self) -> Path:
        return self.root / "keys" / "web.key"

    @property
    def log(self) -> Path:
        return self.root / "log" / "app.log"

    def code(self, sha256: str) -> Path:
        return self.root / "code" / sha256[:20]

    def make(self) -> None:
        for folder in (self.root, self.data, self.root / "keys", self.root / "log"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)

    def put_code(self, sha256: str, unpack: Callable[[Path], None]) -> None:
        """Let `unpack` fill a folder beside the final one, then rename it: code that has its final name is complete."""
        place = self.code(sha256)
        part = place.with_suffix(UNPACKING)
        _remove(part)
        unpack(part)
        # All of it must be on the disk before the name marks it as complete.
        os.sync()
        part.rename(place)

    def drop_code(self, *, keep: str = "") -> None:
        """Remove all unpacked archives except `keep` (a sha256); raises `Unavailable` if one can't be removed."""
        kept = self.code(keep).name if keep else ""
        for entry in (self.root / "code").glob("*"):
            if entry.name != kept:
                _remove(entry)

    def drop_secrets(self) -> None:
        """Raises `Unavailable` if they can't be removed."""
        _remove(self.root / "keys")

    def forget(self) -> None:
        """Remove everything of the app from this node. Raises `Unavailable` if something can't be removed: call it again."""
        _remove(self.root)


def _remove(place: Path) -> None:
    with removing(place):
        remove_tree(place)
