"""How runs get their ids: derived from their purpose, so that a process that meets the same work again finds the same run.
Only a call that is answered at once has a random one."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["call_run_id", "nested_run_id", "send_run_id", "trigger_run_id"]


def trigger_run_id(trigger: str, sequence: int) -> str:
    """Return the id of the run of `app/trigger` for the event at `sequence`; a replay has the same id and another generation."""
    return _hash("trigger", trigger, str(sequence))


def send_run_id(actor: str, through: str, target: str, key: str) -> str:
    """Return the id of the run of what `actor` sent `through` an app ('' for none) to `target` with the idempotency `key`; the same
    key from another app gives another id."""
    return _hash("send", actor, *([through] if through else ()), target, key)


def nested_run_id(parent: str, call: bytes, occurrence: int) -> str:
    """Return the id of the run of the `occurrence`-th time that run `parent` makes exactly this `call`."""
    return _hash("nested", parent, call.hex(), str(occurrence))


def call_run_id(call: str) -> str:
    """Return the id of the run of a call that was made outside of any run; `call` is its random id."""
    return _hash("call", call)


def _hash(*parts: str) -> str:
    """Return 32 hex digits; the length before each part makes ('a', 'bc') differ from ('ab', 'c')."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
