"""The app manager: from an archive to a running process, and back.

archive, tarball, zipped, member, bounds, requirements   what an archive may hold, and reading it without trusting it
pack, signature, minisign, sshsig, bundled       a folder becomes an archive, who vouches for it
arrivals, staging, admission, admission_rules, additive, review   whether it may come in, and what the owner is asked
apps, decisions, limits                          what the owner asks for, and the node's own life
installation, upgrade, pausing, removal          the ways of an app, step by step; snapshot: what upgrades do to data
disk                                             what is told of one that is full
aftercare, retention                             what is seen to by itself; which archives the log keeps
record, nodes, detail, status                    what the log knows of an app, and what is shown of it
local, instance, folders, environment, credentials   an app's part of this node
process, launch, variables, leftovers            its process, watched; log, log_follower: what it says
gateway, reach                                   its door to core, and what else it reaches
parts, settings, ports                           what all of them are given, and need of the rest of core
"""

from core.app.apps import Apps
from core.app.archive import CheckedArchive, read_archive
from core.app.arrivals import Approve
from core.app.bounds import ArchiveBounds
from core.app.pack import Archive, pack, packed
from core.app.parts import Progress
from core.app.review import Review
from core.app.settings import AppSettings, Supervision
from core.app.status import AppStatus
from projections.directory import App, AppState

__all__ = [
    "App", "AppSettings", "AppState", "AppStatus", "Approve", "Apps", "Archive", "ArchiveBounds", "CheckedArchive",
    "Progress", "Review", "Supervision", "pack", "packed", "read_archive",
]  # fmt: skip
