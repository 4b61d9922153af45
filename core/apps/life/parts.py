"""What every change of an app's state needs: the registry of apps, the app's process on this node, and the rest of core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.apps.life.app_registry import AppRegistry
from core.apps.life.data_snapshot import Snapshots
from core.apps.life.kept_archives import KeptArchives
from core.apps.process.folders import AppFolders
from core.apps.process.local import LocalApps
from core.apps.protocols import CoreServices
from core.apps.settings import AppSettings

__all__ = ["AppParts", "Progress", "quiet"]

Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class AppParts:
    settings: AppSettings
    registry: AppRegistry
    local: LocalApps
    core: CoreServices
    kept_archives: KeptArchives

    def folders(self, name: str) -> AppFolders:
        return AppFolders.of(self.settings.folder, name)

    def snapshots(self, name: str) -> Snapshots:
        folders = self.folders(name)
        return Snapshots(folders.data, folders.snapshots)


def quiet(step: str, detail: str) -> None:
    """Ignore progress, if the caller does not show it."""
