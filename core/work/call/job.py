"""A durable call as stored in the stream WORK, with everything that is needed to make it after any restart."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pcloud.errors import Corrupt

__all__ = ["Job", "decode_job", "encode_job"]


class Job(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`id`: the run's. `kind`: what made the run first; a trigger's run comes here if the owner retries it.
    `actor`: the caller, `through` an app ('' for none). `actions`: the actions handed over, `app/action` by argument; empty in
    old jobs, which had no field for them. `target`: what was called, as `stored_target` writes it, to be resolved again at each
    attempt; '' in old sends, which did not store it. `created`: unix seconds; a run that ended later than this is this job's
    run, and is not made again."""

    id: str
    kind: Literal["send", "trigger", "init"]
    app: str
    action: str
    args: dict[str, Any]
    actor: str
    created: float
    actions: dict[str, str] = {}
    through: str = ""
    target: str = ""
    trigger: str = ""
    entity: str = ""
    sequence: int = 0
    generation: int = 0
    cause: str = ""
    depth: int = 0
    revision: str = ""
    attempts: int = 0
    replay: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Job)


def encode_job(job: Job) -> bytes:
    return _encoder.encode(job)


def decode_job(body: bytes) -> Job:
    """Raises `Corrupt`."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a durable call in WORK can't be read: {error}; it begins {body[:80]!r}") from error
