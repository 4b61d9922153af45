"""The directory: the persons, apps, devices and grants of this cloud, folded from `graph.core.>` into typed records in
memory.

All decisions (views, grants, calls, sign-in, reach, triggers) read the directory and nothing else, so permission and
sign-in need no graph store. It is a pure fold: the same on every node. It never writes the log.

records      the typed, immutable records        app, grant, notice, session    those, with what belongs to them
directory    the projection with `on_changed`    snapshot               its state in a file, for a quick start
"""

from projections.directory.app import App, AppState, Previous
from projections.directory.directory import Changed, Directory, open_directory
from projections.directory.grant import Grant
from projections.directory.notice import Notice
from projections.directory.records import Capability, Device, Owner, Records, Scope, TriggerPast
from projections.directory.session import Session

__all__ = [
    "App", "AppState", "Capability", "Changed", "Device", "Directory", "Grant", "Notice", "Owner", "Previous", "Records", "Scope",
    "Session", "TriggerPast", "open_directory",
]  # fmt: skip
