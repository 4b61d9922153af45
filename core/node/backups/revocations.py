"""What a restore may not bring back: what was forgotten, and what the owner has revoked. Ids and hashes only, no content.

Each backup has a list of all of it; between two backups, a node with a schedule stores a list of what came since beside them. A restore
of an older backup reads the lists of all newer ones, and the first start applies what the backup lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from pcloud.event import Kind, StoredEvent
from projections.directory import AppState, Directory

__all__ = ["LIST", "Forgotten", "Revocations", "ToRevoke", "cloud_of", "pending", "revocations"]

LIST = "revocations.json"


class Revocations(msgspec.Struct, frozen=True):
    """`owner`: SHA-256 of the credential. `grants`: the states of all grants by id. `apps`: those that are installed. `forgotten`: by
    entity, the transaction that forgot it. `apps_forgotten`: those that were removed with their data. `since`: only what was
    forgotten after this sequence is listed."""

    cloud: str
    owner: str
    grants: dict[str, str]
    apps: list[str]
    forgotten: dict[str, str]
    apps_forgotten: list[str] = []
    since: int = 0

    @property
    def digest(self) -> str:
        """Changes with everything but `since`."""
        return hashlib.sha256(
            msgspec.json.encode(msgspec.structs.replace(self, since=0), order="deterministic")
        ).hexdigest()


class ToRevoke(msgspec.Struct, frozen=True):
    """What has to be revoked and forgotten after a restore. `owner`: the hash of the credential that is valid now, '' if it is the
    same. `grants`: ids. `apps`: True for one that was removed with its data."""

    owner: str = ""
    grants: list[str] = []
    apps: dict[str, bool] = {}
    forgotten: list[str] = []


class Forgotten:
    """Collects what events say about it: give it all of them, in order."""

    def __init__(self) -> None:
        self.entities: dict[str, str] = {}
        self.apps: set[str] = set()

    def read(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            if event.kind is Kind.FORGOTTEN:
                self.entities[str(event.ref)] = event.tx
            elif event.ref.app == "core" and event.ref.type == "App":
                if event.change.set.get("forget"):
                    self.apps.add(event.ref.id)
                elif event.kind is Kind.CREATED:
                    self.apps.discard(event.ref.id)


def revocations(cloud: str, directory: Directory, forgotten: Forgotten, *, since: int = 0) -> Revocations:
    records, owner = directory.records, directory.owner()
    installed = sorted(name for name, app in records.apps.items() if app.state is not AppState.REMOVING)
    return Revocations(
        cloud, owner.token_hash if owner else "", {id: grant.state for id, grant in sorted(records.grants.items())}, installed,
        forgotten.entities, sorted(forgotten.apps), since,
    )  # fmt: skip


def pending(mine: Revocations, newer: Iterable[Revocations]) -> ToRevoke:
    """What a restored backup with the list `mine` lacks. `newer`: the lists of later ones, the oldest first: of decisions the last
    holds, and what was forgotten in any of them stays so."""
    lists = list(newer)
    if not lists:
        return ToRevoke()
    last = lists[-1]
    forgotten = {ref for one in lists for ref, tx in one.forgotten.items() if mine.forgotten.get(ref) != tx}
    with_data = {app for one in lists for app in one.apps_forgotten}
    return ToRevoke(
        last.owner if last.owner != mine.owner else "",
        [id for id, state in mine.grants.items() if state == "approved" and last.grants.get(id) == "rejected"],
        {app: app in with_data for app in mine.apps if app not in last.apps},
        sorted(forgotten),
    )


def cloud_of(id_key: bytes) -> str:
    """The name of a cloud. Its key stays over restores, and can't be found from the name."""
    return hashlib.sha256(b"pcloud backup of " + id_key).hexdigest()[:16]
