"""Who makes a call and which action it means: decided when a call is made, and again at each attempt of a stored one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.access.audit import Audit
from core.access.caller import CORE, Caller, caller_now
from core.work.call.callers import demand_any
from core.work.call.capability import Capabilities
from core.work.call.job import Job
from core.work.call.permission import Refused, demand, demand_scope
from core.work.call.target import ActionName, CapabilityName, RoleAction, Target, parse_stored
from pcloud.errors import Forbidden
from projections.directory import Directory

__all__ = ["Authorization"]


class Authorization:
    """By the rights that the directory has now."""

    def __init__(self, directory: Directory, capabilities: Capabilities, audit: Audit) -> None:
        self._directory, self._capabilities, self._audit = directory, capabilities, audit

    def resolve(self, caller: Caller, target: Target) -> ActionName:
        """Return the action that `target` means for this caller, who may call it. Raises `Forbidden`, `NotFound` or
        `Rejected`."""
        name = self._resolve(caller, target)
        if caller != CORE and self._directory.is_internal(name.app, name.action):
            raise Forbidden(f"{name} can't be called: only PCloud itself calls it")
        return name

    def _resolve(self, caller: Caller, target: Target) -> ActionName:
        demand_scope(caller, target)
        if isinstance(target, CapabilityName):
            return self._capabilities.resolve(caller, target)
        if caller != CORE:
            demand(self._directory, caller, target)
        if isinstance(target, RoleAction):
            return ActionName(self._directory.holder(target.role), target.action)
        return target

    def demand_handed_over(self, caller: Caller, actions: Mapping[str, str]) -> None:
        """Raises `Forbidden` unless the caller may hand these actions over."""
        self._capabilities.demand(caller, actions)

    def reauthorize(self, job: Job, also: Callable[[], None] = lambda: None) -> tuple[Caller, ActionName]:
        """Return the caller of a stored call and the action it means, by the current rights. `also` raises `Forbidden`
        for what else the call depends on. Raises `Refused`, which is audited, `NotFound` or `Rejected`."""
        name = ActionName(job.app, job.action)
        try:
            also()
            caller = caller_now(self._directory, job.actor, job.through)
            if job.target:
                name = self.resolve(caller, parse_stored(job.target))
            else:
                demand_any(self._directory, caller, name)
            self._capabilities.demand(caller, job.actions)
        except Forbidden as error:
            self._audit.refused("send", job.actor, str(name), error.message, through=job.through)
            raise Refused(error.message) from error
        return caller, name
