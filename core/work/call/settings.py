"""The limits of calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.work.call.dispatch import DispatchSettings

__all__ = ["CallSettings"]


@dataclass(frozen=True, slots=True)
class CallSettings:
    """`key_length`: of a durable call's idempotency key."""

    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
    key_length: int = 1024
    seconds: float = 3600.0
    stored_args: int = 512 * 1024
