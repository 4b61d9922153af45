"""Apps, from an archive to a running process and back.

    archive    an app as one file, read without trusting it
    signing    who made it
    review     whether it may come in, and what the owner reads first
    life       arrival, installation, pause, upgrade, rollback, removal, step by step
    process    its folders, environment, door to core and process on this node
    sandbox    what keeps it apart from the machine and from other apps
    egress     which hosts outside it may reach
    tree       folders that an app fills, walked without trusting them

`Apps` is what the owner asks; `protocols` is what apps need of the rest of core; `record` is how an app stands in the log.
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
