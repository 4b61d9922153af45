"""The streams: their names, purposes and size limits. They are made and updated only here.

Only GRAPH has no limit, because it is the truth. Every other stream has `max_bytes`, so that it can't fill the disk at
GRAPH's expense. Key-value and object buckets are streams too, with the settings that the clients' own libraries use.

The metadata of each says what it is for (`pcloud_purpose`), how its subjects are made (`pcloud_subject`) and what a
message holds (`pcloud_message`), so that `nats stream info NAME` reads as documentation. The nats CLI cuts the middle out
of a longer text than `LONGEST_TEXT`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventstore.connection import ApiError, Connection, open_connection
from eventstore.settings import ConnectionSettings, StoreSettings
from pcloud.errors import Corrupt, Unavailable
from pcloud.subject import AUDIT_SUBJECTS, GRAPH_SUBJECTS, RUN_SUBJECTS, WORK_SUBJECTS

__all__ = ["LogIdentity", "ensure_streams", "renew_epoch"]

NOT_FOUND = 10059
NAME_IN_USE = 10058
NO_STORAGE = 10047
SECOND = 10**9

EPOCH = "pcloud_epoch"
ID_KEY = "pcloud_id_key"
PURPOSE = "pcloud_purpose"
SUBJECT = "pcloud_subject"
MESSAGE = "pcloud_message"
# On a terminal of 80 columns.
LONGEST_TEXT = 50
# Chosen when the stream is made, and never changed.
CHOSEN_ONCE = frozenset({EPOCH, ID_KEY})


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """`epoch` identifies this log; `id_key` is the key of the hash that makes ids of `@id` fields."""

    epoch: str
    id_key: bytes


async def ensure_streams(connection: Connection, settings: StoreSettings) -> LogIdentity:
    """Make missing streams and update the others. Raises `Unavailable` if the server refuses one, such as without room
    for it; a server without JetStream (it may have just started) counts as silent."""
    try:
        found: dict[str, Any] = {}
        for config in _streams(settings):
            found[config["name"]] = await _ensure(connection, config)
    except ApiError as error:
        hint = "make room on its disk, or allow JetStream more" if error.number == NO_STORAGE else "see its log"
        raise Unavailable(f"the NATS server refuses a stream: {error}: {hint}") from error
    metadata: Mapping[str, str] = found["GRAPH"].get("metadata") or {}
    try:
        return LogIdentity(metadata[EPOCH], bytes.fromhex(metadata[ID_KEY]))
    except (KeyError, ValueError) as error:
        raise Corrupt(
            "the stream GRAPH has no epoch in its metadata: it was not made by PCloud, or edited by hand"
        ) from error


async def renew_epoch(settings: ConnectionSettings) -> str:
    """Give the stored log a new epoch and return it: positions on the log as it was are not valid any more, its sequences
    stay. No store may be open. Raises `Unavailable`."""
    epoch = secrets.token_hex(8)
    async with open_connection(settings) as connection:
        try:
            config = (await connection.api("STREAM.INFO.GRAPH"))["config"]
            metadata = {**config["metadata"], EPOCH: epoch}
            await connection.api("STREAM.UPDATE.GRAPH", {**config, "metadata": metadata})
        except ApiError as error:
            raise Unavailable(f"the log can't get a new epoch: {error}") from error
    return epoch


async def _ensure(connection: Connection, wanted: dict[str, Any]) -> dict[str, Any]:
    name = wanted["name"]
    try:
        existing = (await connection.api(f"STREAM.INFO.{name}"))["config"]
    except ApiError as error:
        if error.number != NOT_FOUND:
            raise
        try:
            return (await connection.api(f"STREAM.CREATE.{name}", wanted))["config"]
        except ApiError as race:
            if race.number != NAME_IN_USE:
                raise
            # Another node made it at this moment, with its own epoch.
            existing = (await connection.api(f"STREAM.INFO.{name}"))["config"]
    # The server keeps entries of its own in the metadata, too.
    before: dict[str, str] = existing.get("metadata") or {}
    notes = before | {key: value for key, value in wanted["metadata"].items() if key not in CHOSEN_ONCE}
    wanted = wanted | {"metadata": notes}
    changed = {key: value for key, value in wanted.items() if existing.get(key) != value}
    if not changed:
        return existing
    return (await connection.api(f"STREAM.UPDATE.{name}", existing | changed))["config"]


def _streams(settings: StoreSettings) -> list[dict[str, Any]]:
    common = {"storage": "file", "num_replicas": settings.replicas}

    def stream(
        name: str, description: str, purpose: str, subjects: list[str], form: str, message: str, **more: Any
    ) -> dict[str, Any]:
        config = common | {"name": name, "description": description, "subjects": subjects} | more
        if name in settings.max_bytes:
            config["max_bytes"] = settings.max_bytes[name]
        metadata: Mapping[str, str] = {
            PURPOSE: purpose, SUBJECT: form, MESSAGE: message, **more.get("metadata", {}),
        }  # fmt: skip
        return config | {"metadata": metadata}

    window = int(settings.duplicate_window * SECOND)
    return [
        stream(
            "GRAPH",
            "PCloud: every change of the graph, in order. The truth that all views are folded from.",
            "events",
            [GRAPH_SUBJECTS],
            "graph.APP.TYPE.ID: one entity with its history",
            "One event: who and why in headers, then what",
            compression="s2",
            allow_atomic=True,
            allow_direct=True,
            deny_delete=True,
            duplicate_window=window,
            metadata={
                EPOCH: secrets.token_hex(8),
                ID_KEY: secrets.token_hex(32),
                "pcloud_headers": "Pcloud-Kind, -Tx, -Actor, -Through, -Cause",
                "pcloud_tx": "Pcloud-Tx: TRANSACTION PLACE/TOTAL",
                "pcloud_body": "JSON of what changed: set, unset, link, unlink",
            },
        ),
        stream(
            "WORK",
            "PCloud: durable calls that wait to be run; gone once they are settled.",
            "queue",
            [WORK_SUBJECTS],
            "work.APP.ACTION.RUN: one call of an app's action",
            "JSON: arguments, who called, what led here",
            retention="workqueue",
            discard="new",
            allow_direct=True,
            duplicate_window=window,
        ),
        stream(
            "RUNS",
            "PCloud: the last state of every run of an app's action.",
            "state",
            [RUN_SUBJECTS],
            "run.APP.ACTION.RUN: one run, in its newest state",
            "JSON: state, attempts, times, error",
            max_msgs_per_subject=1,
            discard="new",
            allow_msg_ttl=True,
            allow_atomic=True,
            allow_direct=True,
            compression="s2",
            duplicate_window=window,
        ),
        stream(
            "AUDIT",
            "PCloud: sign-ins, refusals and grants.",
            "record",
            [AUDIT_SUBJECTS],
            "audit.KIND: call, send, api, bus, limit, web, …",
            "JSON: who, what, outcome; never arguments",
            compression="s2",
            allow_direct=True,
            duplicate_window=window,
        ),
        stream(
            "OBJ_ARCHIVES",
            "PCloud: the archives of the installed apps (object bucket ARCHIVES).",
            "objects",
            ["$O.ARCHIVES.C.>", "$O.ARCHIVES.M.>"],
            "$O.ARCHIVES.M.NAME: facts; $O.ARCHIVES.C.ID: bytes",
            "A piece of an archive, named by its SHA-256",
            discard="new",
            allow_rollup_hdrs=True,
            allow_direct=True,
        ),
        stream(
            "KV_FORGETTING",
            "PCloud: erasures in progress (key-value bucket FORGETTING).",
            "state",
            ["$KV.FORGETTING.>"],
            "$KV.FORGETTING.ID: one deletion for good",
            "The key's newest value: JSON, the entities",
            max_msgs_per_subject=1,
            discard="new",
            deny_delete=True,
            allow_rollup_hdrs=True,
            allow_direct=True,
        ),
    ]
