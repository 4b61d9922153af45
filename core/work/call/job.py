"""A durable call as it stands in the stream WORK: everything that is needed to make it, after whatever restarts."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pcloud.errors import Corrupt

__all__ = ["Job", "decode_job", "encode_job"]


class Job(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`id`: the run's. `kind`: what made the run first; a trigger's run comes here when the owner retries it.
    `actor`: who called, `through` which app ('' for none). `actions`: those handed over, `app/action` by argument; a job of
    before they had a place of their own hands nothing over. `target`: what was called, as `stored_target` writes it, to be
    resolved again at each attempt; '' in a send of before, when it was not kept. `created`: unix seconds; a run that ended
    later than this is this job's, and not made again."""

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
