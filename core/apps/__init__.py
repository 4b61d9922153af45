"""Apps, from an archive to a running process and back.

    archive    an app as one file, read without trusting it
    signing    who made an archive
    review     whether an app may be installed, and what the owner reads first
    life       arrival, installation, pause, upgrade, rollback and removal, step by step
    process    an app's folders, environment, connection to core and process on this node
    sandbox    what separates an app from the machine and from other apps
    egress     which outside hosts an app may reach
    tree       reading and removing folders that an app fills, without trusting them

`Apps` is the interface for the owner's requests; `protocols` names what apps need from the rest of core; `record`
writes an app's state to the log.
"""

from core.apps.apps import Apps
from core.apps.archive.archive import CheckedArchive, read_archive
from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.pack import Archive, pack, packed
from core.apps.life.arrivals import Approve
from core.apps.life.parts import Progress
from core.apps.review.review import Review
from core.apps.settings import AppSettings, Supervision
from core.apps.status import AppStatus
from projections.directory import App, AppState

__all__ = [
    "App", "AppSettings", "AppState", "AppStatus", "Approve", "Apps", "Archive", "ArchiveBounds", "CheckedArchive",
    "Progress", "Review", "Supervision", "pack", "packed", "read_archive",
]  # fmt: skip
