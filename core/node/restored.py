"""The first start after a restore: what could sign in before the disk was lost must not sign in now, and what was revoked or forgotten
since the backup must not come back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from core.access.caller import OWNER as PERSON
from core.graph.command import Commands, EntityChange
from core.node.backups.revocations import ToRevoke
from core.node.folder import DataFolder
from core.people.device.pair import Devices
from core.people.owner.credential import OWNER
from core.people.owner.session import Sessions
from pcloud.subject import Ref
from projections.directory import AppState, Directory

__all__ = ["finish_restore"]

log = logging.getLogger("pcloud.node")


class _Restored(msgspec.Struct):
    """The part of `restored.json` that is read; a restore by an older PCloud wrote no list."""

    revoked: ToRevoke = ToRevoke()


async def finish_restore(
    folder: DataFolder, directory: Directory, commands: Commands, devices: Devices, sessions: Sessions
) -> None:
    """Revoke all devices, end all sessions, and do what the restore has listed, once, before anything listens. If the node dies in
    between, the next start does the rest."""
    listed = msgspec.json.decode(folder.restored.read_bytes(), type=_Restored).revoked
    revoked, ended = await devices.revoke_all(), await sessions.end_all()
    if changes := list(_revoked(directory, listed)):
        await commands.write(PERSON.actor, changes, urgent=True)
    await commands.forget(PERSON.actor, map(Ref.parse, listed.forgotten))
    folder.restored.unlink()
    log.warning(
        "this cloud was restored from a backup: %s devices were revoked, %s sessions ended; of what was revoked since, %s decisions "
        "were made again, and %s entities forgotten", revoked, ended, len(changes), len(listed.forgotten),
    )  # fmt: skip


def _revoked(directory: Directory, listed: ToRevoke) -> Iterator[EntityChange]:
    """What is not done yet. An app that was removed is REMOVING, which the start of the apps completes."""
    records, owner = directory.records, directory.owner()
    if listed.owner and owner is not None and owner.token_hash != listed.owner:
        yield EntityChange(OWNER, "update", set={"tokenHash": listed.owner})
    for id in listed.grants:
        if id in records.grants and records.grants[id].approved:
            yield EntityChange(Ref("core", "Grant", id), "update", set={"state": "rejected"})
    for name, with_data in listed.apps.items():
        if name in records.apps and records.apps[name].state is not AppState.REMOVING:
            removing = {"state": AppState.REMOVING.value, "step": "remove", "forget": with_data or None}
            yield EntityChange(Ref("core", "App", name), "update", set=removing)
