"""The limits of the event processor; times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.work.processor.backoff import Backoff
from projections.retention import DONE_RUN_DAYS

__all__ = ["ProcessorSettings"]


@dataclass(frozen=True, slots=True)
class ProcessorSettings:
    """`ack_wait`: after this time without a sign from core an event is delivered again; core renews it three times as
    often. `held`: events of one trigger that are pulled and not yet settled. `send_attempts`, `send_concurrency`: of
    durable calls, the latter for each receiving app. `record_delay`: a run that takes longer is shown while in progress.
    `absence_wait`: longest time until the next look for an app that is not running. `crowded`: the used part of RUNS
    from which on the oldest runs that are DONE are dropped early; `fullness`: the used part from which on no new runs
    are started. Both are checked every `fullness_check`. `drain`: how long attempts in progress have to end
    when core stops. `abandoned_check`: how often runs that nothing will continue are looked for."""

    ack_wait: float = 15.0
    held: int = 256
    backoff: Backoff = field(default_factory=Backoff)
    send_attempts: int = 8
    send_concurrency: int = 4
    done_ttl: float = DONE_RUN_DAYS * 86400.0
    record_delay: float = 0.5
    absence_wait: float = 1.0
    pause_after_error: float = 30.0
    fullness_check: float = 10.0
    crowded: float = 0.8
    fullness: float = 0.95
    drain: float = 3.0
    abandoned_check: float = 60.0
