"""Goes back to the PCloud before an update: the part that concerns the data.

If that PCloud can read the data as it is, nothing is changed. Otherwise the log and the keys are put back as they were at the update;
what the newer one wrote is kept beside them, in `after-update-TIME`, and the views are removed, since they are made again from the log.

Each step can be repeated. While `version.json` says `returning`, no program that knows it opens the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.apps.tree import remove_tree
from core.apps.tree.disk_errors import writing
from core.node.data_version import COPIED, DataVersion, read_version, write_version
from core.node.folder import DataFolder, open_folder
from pcloud.errors import Rejected

__all__ = ["Return", "go_back", "plan_return"]


@dataclass(frozen=True, slots=True)
class Return:
    """`to`: the PCloud to install. `since`: what was stored after this time (seconds since 1970) is put into the folder `aside`; 0 if
    nothing is."""

    to: str
    since: float
    aside: Path


def plan_return(folder: DataFolder) -> Return:
    """What going back would do; raises `Rejected` if it can't be done."""
    found = read_version(folder)
    if found is None or not found.before or found.went_back:
        raise Rejected(
            f"PCloud was not updated since the data in {folder.root} was made: there is nothing to go back to"
        )
    # The same after a kill, another for each update.
    aside = folder.root / f"after-update-{datetime.fromtimestamp(found.since, UTC):%Y-%m-%d-%H%M%S}"
    if found.readable_before and not found.returning:
        return Return(found.before, 0.0, aside)
    if not found.returning and not folder.before_update.exists():
        raise Rejected(f"there is no copy of the log from before the update in {folder.before_update}: it was removed")
    if not found.returning and aside.exists() and any(aside.iterdir()):
        raise Rejected(f"{aside} has what an earlier `pcloud go-back` put aside: move it to another place first")
    return Return(found.before, found.since, aside)


def go_back(folder: DataFolder) -> Return:
    """Raises `Rejected`, also while a node uses the folder; after a kill, call it again."""
    with open_folder(folder.root, reserve=0) as folder:
        plan, found = plan_return(folder), read_version(folder)
        if plan.since and found is not None:
            _put_back(folder, found, plan.aside)
        return plan


def _put_back(folder: DataFolder, found: DataVersion, aside: Path) -> None:
    with writing("the data as it was before the update", folder.root):
        aside.mkdir(mode=0o700, exist_ok=True)
        if not found.returning:
            write_version(folder, msgspec.structs.replace(found, returning=True))
        for name in COPIED:
            copy, place = folder.before_update / name, folder.root / name
            if not copy.exists():
                continue  # done before a kill
            if place.exists() and not (aside / name).exists():
                place.rename(aside / name)
            remove_tree(place)  # what a start of an older program made meanwhile
            copy.rename(place)
        for view in (folder.graph.parent, folder.search, folder.runs.parent, folder.directory.parent):
            remove_tree(view)
        before = folder.before_update / folder.version.name
        if before.exists():
            before.replace(folder.version)
        remove_tree(folder.before_update)
