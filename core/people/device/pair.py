"""Pairing: gives a device the credentials to back up pictures and to query, and revokes them.

The log holds the token's hash, never a secret. The object storage records which device holds the keys, and revokes
them when the device is revoked: see `core.work.call.notices`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from core.access.caller import OWNER, Caller, Scope
from core.graph.command import Commands, EntityChange
from core.people.device.seen import LastSeen
from core.people.owner.credential import new_token, token_hash
from core.work.call import Calls
from pcloud.errors import Conflict, NotFound, PCloudError, Rejected
from pcloud.subject import Ref, new_id
from projections.directory import Directory

__all__ = ["BACKUP_BUCKET", "Devices"]

BACKUP_BUCKET = "images"
ISSUE = "role:object-storage/issue-credentials"
LONGEST_NAME = 80
AT_ONCE = 500  # changes in one transaction
WATCHER = "metrics"
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Devices:
    directory: Directory
    commands: Commands
    calls: Calls
    last_seen: LastSeen

    async def pair(
        self, name: str, graphql: str, scopes: Collection[str] = ("manage",), bucket: str = BACKUP_BUCKET, s3: str = ""
    ) -> dict[str, Any]:
        """Return what the device gets: `{"id", "graphql", "token", "scopes"}`, and if it may add files `"s3":
        {"endpoint", "access_key", "secret_key", "bucket"}`. `s3`: the endpoint to name; '': the one on this machine.

        The device is written first: if the node dies in between, a device without keys is left, never keys without a
        device.
        """
        check_name(name)
        known, ref, token = checked_scopes(scopes), Ref("core", "Device", new_id()), new_token("device")
        paired: dict[str, Any] = {"id": ref.id, "graphql": graphql, "token": token, "scopes": known}
        await self.commands.write(OWNER.actor, [EntityChange(ref, "add", set={**told(name, token), "scopes": known})])
        if {"upload", "manage"} & set(known):
            try:
                keys = await self._keys(ref.id, bucket, delete="manage" in known)
                paired["s3"] = keys | {"endpoint": s3 or keys["endpoint"]}
            except PCloudError:
                await self.commands.write(OWNER.actor, [EntityChange(ref, "delete")])
                raise
        return paired

    async def _keys(self, id: str, bucket: str, *, delete: bool) -> dict[str, Any]:
        wanted = {"name": "device", "bucket": bucket, "write": True, "delete": delete, "holder": f"device:{id}"}
        try:
            answer = await self.calls.call(OWNER, ISSUE, wanted)
        except NotFound as error:
            advice = "install the apps object-store and image-importer first"
            raise NotFound(f"a device can't back up anything yet: {advice} ({error.message})") from error
        except Rejected as error:
            advice = "its app comes from an earlier PCloud; upgrade it with `pcloud app install object-store`"
            raise Conflict(f"the object storage can't make keys for a device: {advice} ({error.message})") from error
        return {part: answer.result[part] for part in ("endpoint", "access_key", "secret_key", "bucket")}

    async def pair_watcher(self, name: str, metrics: str) -> dict[str, Any]:
        """Return what Prometheus gets: `{"id", "metrics", "token"}`. The token gives access to the metrics' address alone."""
        check_name(name)
        id, token = new_id(), new_token("metrics")
        fields = {**told(name, token), "rights": WATCHER}
        await self.commands.write(OWNER.actor, [EntityChange(Ref("core", "Device", id), "add", set=fields)])
        return {"id": id, "metrics": metrics, "token": token}

    def list(self) -> list[dict[str, Any]]:
        """All devices by name, including revoked ones."""
        devices = sorted(self.directory.records.devices.values(), key=lambda device: device.name)
        return [
            {
                "id": one.id,
                "name": one.name,
                "state": one.state,
                "rights": one.rights or None,
                "scopes": [] if one.rights else list(one.scopes),
                "seen": self.last_seen.seen(one) or None,
            }
            for one in devices
        ]

    async def revoke(self, id: str) -> None:
        """Revoke a device's token and keys, effective at once; raises `NotFound`."""
        ref = Ref.make("core", "Device", id)
        if id not in self.directory.records.devices:
            raise NotFound(f"no device has the id {id!r}: see `pcloud device list`")
        await self._revoke([revoked(ref)])
        await self.calls.callers_told()

    async def revoke_all(self) -> int:
        """Revoke every device, and return their number. Their keys at the object store end when it is started: no other
        app may run meanwhile."""
        active = [one for one in self.directory.records.devices.values() if one.state == "active"]
        changes = [revoked(Ref.make("core", "Device", one.id)) for one in active]
        for first in range(0, len(changes), AT_ONCE):
            await self._revoke(changes[first : first + AT_ONCE])
        return len(active)

    async def _revoke(self, changes: list[EntityChange]) -> None:
        # Urgent: also on a full disk, a lost device must not stay signed in.
        await self.commands.write(OWNER.actor, changes, urgent=True)

    def by_token(self, token: str) -> Caller | None:
        """Return the device to which the token belongs. A device for metrics can't use the API."""
        device = self.directory.device_with(token_hash(token))
        if device is None or not device.asks:
            return None
        self.last_seen.note(device.id)
        return Caller("device", device.id, scopes=frozenset(device.scopes))

    async def watches(self, token: str) -> bool:
        """Return True if the token was made for reading the metrics."""
        device = self.directory.device_with(token_hash(token)) if token else None
        return device is not None and device.rights == WATCHER


def revoked(ref: Ref) -> EntityChange:
    return EntityChange(ref, "update", set={"state": "revoked"}, unset=("tokenHash",))


def check_name(name: str) -> None:
    """Raises `Rejected`."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Rejected(f"a device's name must have 1 to {LONGEST_NAME} characters, such as 'Ada’s phone'")


def checked_scopes(scopes: Collection[str]) -> list[str]:
    """Return the scopes without repetitions, in order; raises `Rejected`."""
    if not scopes or set(scopes) - set(SCOPES):
        raise Rejected(f"a device's scopes must be one or more of {', '.join(SCOPES)}, not {list(scopes)}")
    return [scope for scope in SCOPES if scope in scopes]


def told(name: str, token: str) -> dict[str, Any]:
    """The fields of any device in the log: never the token itself."""
    return {
        "name": name.strip(),
        "tokenHash": token_hash(token),
        "state": "active",
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
