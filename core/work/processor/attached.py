"""What is attached: an app with its triggers, each with its position in the past and the slots of its runs. Plain
state, which `processor`, `loops` and `replay` change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from core.work.processor.compiled_trigger import CompiledTrigger
from core.work.processor.slots import Slots
from pcloud.manifest import Manifest
from projections.directory import TriggerPast

__all__ = ["AttachedApp", "AttachedTrigger", "InstalledApp"]


class InstalledApp(Protocol):
    """What `attach` needs to know about an app; `core.apps.App` is one implementation."""

    @property
    def name(self) -> str: ...
    @property
    def manifest(self) -> Manifest: ...


class AttachedTrigger:
    """One trigger with its two loops. Live runs have their own slots, which take priority over the history's."""

    def __init__(self, compiled: CompiledTrigger, history: TriggerPast) -> None:
        self.compiled = compiled
        self.history = history
        self.live_slots = Slots(compiled.concurrency)
        self.history_slots = Slots(compiled.concurrency, first=self.live_slots)
        self.history_task: asyncio.Task[None] | None = None


class AttachedApp:
    def __init__(self, name: str, triggers: Sequence[AttachedTrigger]) -> None:
        self.name = name
        self.triggers = {trigger.compiled.name: trigger for trigger in triggers}
        self.tasks: list[asyncio.Task[None]] = []
