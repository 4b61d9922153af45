"""Pairing: gives a device what it needs to back pictures up and to ask, and takes it away again.

The log holds the token's hash and the access key's name, never a secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.call import Calls
from core.caller import Caller
from core.command import Commands, NodeChange
from core.owner.credential import new_token, token_hash
from pcloud.errors import NotFound, PCloudError, Rejected
from pcloud.subject import Ref, new_id
from projections.directory import Directory

__all__ = ["BACKUP_BUCKET", "Devices"]

BACKUP_BUCKET = "images"
ISSUE = "role:object-storage/issue-credentials"
REVOKE = "role:object-storage/revoke-credentials"
LONGEST_NAME = 80
WATCHER = "metrics"


@dataclass(frozen=True, slots=True)
class Devices:
    """`disconnect`: closes the open connections of the callers that it is asked about."""

    directory: Directory
    commands: Commands
    calls: Calls
    disconnect: Callable[[Callable[[Caller], bool]], Awaitable[None]]

    async def pair(self, name: str, graphql: str, bucket: str = BACKUP_BUCKET) -> dict[str, Any]:
        """What the device gets: `{"id", "graphql", "token", "s3": {"endpoint", "access_key", "secret_key", "bucket"}}`.

        The storage keys are issued first: a node that dies in between leaves keys that nobody knows, never a device without any.
        """
        check_name(name)
        id = new_id()
        owner = Caller("owner")
        try:
            answer = await self.calls.call(owner, ISSUE, {"name": f"device-{id}", "bucket": bucket, "write": True})
        except NotFound as error:
            advice = "install the apps object-store and image-importer first"
            raise NotFound(
                f"there is nothing yet that a device could back up to: {advice} ({error.message})"
            ) from error
        s3 = {part: answer.result[part] for part in ("endpoint", "access_key", "secret_key", "bucket")}
        token = new_token("device")
        fields = {**told(name, token), "accessKey": s3["access_key"]}
        try:
            await self.commands.write("owner", [NodeChange(Ref("core", "Device", id), "add", set=fields)])
        except PCloudError:
            await self.calls.call(owner, REVOKE, {"access_key": s3["access_key"]})
            raise
        return {"id": id, "graphql": graphql, "token": token, "s3": s3}

    async def pair_watcher(self, name: str, metrics: str) -> dict[str, Any]:
        """What Prometheus gets: `{"id", "metrics", "token"}`. The token opens the address of the metrics, and nothing else."""
        check_name(name)
        id, token = new_id(), new_token("metrics")
        fields = {**told(name, token), "rights": WATCHER}
        await self.commands.write("owner", [NodeChange(Ref("core", "Device", id), "add", set=fields)])
        return {"id": id, "metrics": metrics, "token": token}

    def list(self) -> list[dict[str, Any]]:
        """All devices by name, the revoked ones too."""
        devices = sorted(self.directory.records.devices.values(), key=lambda device: device.name)
        return [{"id": one.id, "name": one.name, "state": one.state, "rights": one.rights or None} for one in devices]

    async def revoke(self, id: str) -> None:
        """Take a device's token and keys away, at once effective; raises `NotFound`."""
        ref = Ref.make("core", "Device", id)
        if (device := self.directory.records.devices.get(id)) is None:
            raise NotFound(f"no device has the id {id!r}: see `pcloud device list`")
        await self.commands.write("owner", [NodeChange(ref, "update", set={"state": "revoked"}, unset=("tokenHash",))])
        await self.disconnect(lambda caller: caller.kind == "device" and caller.name == id)
        if device.access_key:
            await self.calls.call(Caller("owner"), REVOKE, {"access_key": device.access_key})

    def by_token(self, token: str) -> Caller | None:
        """The device whose token this is. A device with a right of its own can't ask anything else."""
        device = self.directory.device_with(token_hash(token))
        return Caller("device", device.id) if device is not None and not device.rights else None

    async def watches(self, token: str) -> bool:
        """Whether the token was made for reading the metrics."""
        device = self.directory.device_with(token_hash(token)) if token else None
        return device is not None and device.rights == WATCHER


def check_name(name: str) -> None:
    """Raises `Rejected`."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Rejected(f"a device's name has 1 to {LONGEST_NAME} characters, such as 'Ada’s phone'")


def told(name: str, token: str) -> dict[str, Any]:
    """What the log says of any device: never the token itself."""
    return {
        "name": name.strip(),
        "tokenHash": token_hash(token),
        "state": "active",
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
