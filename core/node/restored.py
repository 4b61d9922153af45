"""The first start after a restore: what could sign in before the disk was lost must not sign in now."""

from __future__ import annotations

import logging

from core.node.folder import DataFolder
from core.people.device.pair import Devices
from core.people.owner.session import Sessions

__all__ = ["finish_restore"]

log = logging.getLogger("pcloud.node")


async def finish_restore(folder: DataFolder, devices: Devices, sessions: Sessions) -> None:
    """Revoke all devices and end all sessions, once, before anything listens. If the node dies in between, the next
    start does the rest."""
    revoked, ended = await devices.revoke_all(), await sessions.end_all()
    folder.restored.unlink()
    log.warning("this cloud was restored from a backup: %s devices were revoked, %s sessions ended", revoked, ended)
