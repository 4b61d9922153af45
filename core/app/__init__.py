"""The app manager: from an archive to a running process, and back.

bounds, member, tarball, zipped, archive, lock   what an archive may hold, and reading it without trusting it
pack                                             a folder becomes an archive, always the same one
admission, review                                whether it may come in, and what the owner is asked
installation, record, nodes                      the steps, and what the log knows of an app
instance, folders, environment, credentials      an app's part of this node
process, launch, log, leftovers                  its process, watched
gateway                                          its door to core
apps, status, settings, ports                    all of them together
"""

from core.app.apps import Approve, Apps
from core.app.archive import CheckedArchive, read_archive
from core.app.bounds import ArchiveBounds
from core.app.installation import Progress
from core.app.pack import Archive, pack, packed
from core.app.record import App, AppState
from core.app.review import Review
from core.app.settings import AppSettings, Supervision
from core.app.status import AppStatus

__all__ = [
    "App", "AppSettings", "AppState", "AppStatus", "Approve", "Apps", "Archive", "ArchiveBounds", "CheckedArchive",
    "Progress", "Review", "Supervision", "pack", "packed", "read_archive",
]  # fmt: skip
