"""What a soak found, as one JSON line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Report"]


@dataclass
class Report:
    """`ended`: how often the node ended by itself, or did not start. `lost`: acknowledged things that are missing, doubled or
    changed. `failed_runs`: runs of actions in the state FAILED at the end. `stuck`: faults after which changes or uploads were not
    accepted again. `wrong`: answers that no client should get, by kind. `out_of_memory`: processes that the kernel killed, the node
    among them. `left_out`: what this machine does not allow. `missing`: what was lost."""

    ended: int = 0
    lost: int = 0
    failed_runs: int = 0
    stuck: list[str] = field(default_factory=list[str])
    wrong: dict[str, int] = field(default_factory=dict[str, int])
    minutes: float = 0.0
    creates: int = 0
    uploads: int = 0
    queries: int = 0
    runs: int = 0
    refused: int = 0
    refusals: dict[str, int] = field(default_factory=dict[str, int])
    stalls: int = 0
    kills: int = 0
    power_cuts: int = 0
    full_disks: int = 0
    shortages: int = 0
    out_of_memory: int = 0
    left_out: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        return not (self.ended or self.lost or self.failed_runs or self.stuck or self.wrong)

    def as_object(self) -> dict[str, Any]:
        return asdict(self)
