"""Calls between apps, people and devices: each call goes through here.

The target is resolved (app, role or capability), the grant demanded, the arguments checked against the callee's
manifest, and actions that are handed over turned into capabilities. Only then the app is asked. A refusal is immediate and
reaches no app. Every call is written to the audit log. A call that is not made by a run opens a run of its own, so that what
its handler writes has a key, a cause and a depth."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from core.access.audit import Audit
from core.access.caller import CORE, MAX_DEPTH, Caller, RunContext, caller_now
from core.trace import NO_TRACES, Tracer
from core.trace.about import About
from core.work.call.answer import CallAnswer, HandlerFailed
from core.work.call.arguments import check_arguments
from core.work.call.callers import CALLERS_CHANGED, Rights, callers_of, demand_any
from core.work.call.capability import Capabilities
from core.work.call.dispatch import Dispatcher
from core.work.call.job import Job, encode_job
from core.work.call.notices import Notices
from core.work.call.open_runs import OpenRuns
from core.work.call.permission import Refused, calling_app, demand, demand_scope
from core.work.call.run_ids import call_run_id, send_run_id
from core.work.call.settings import CallSettings
from core.work.call.target import (
    ActionName,
    CapabilityName,
    RoleAction,
    Target,
    parse_stored,
    parse_target,
    stored_target,
)
from eventstore import EventStore
from pcloud.errors import Forbidden, PCloudError, Rejected
from projections.directory import Directory

__all__ = ["CallQuota", "Calls"]

NO_ACTIONS: Mapping[str, str] = MappingProxyType({})
_encoder = msgspec.json.Encoder(order="deterministic")


OnCalled = Callable[[str, float, str], None]
"""Called for each call that was to reach an app: with its name, the seconds until the answer, and `OK` or the error's code."""


class CallQuota(Protocol):
    """Bounds how often an actor may call; `core.access.quota.Quotas` is one implementation."""

    def calls(self, actor: str, /) -> None:
        """Raises `Unavailable` for an actor beyond its quota."""
        ...


class Calls:
    """Made by `Calls.open`. `runs`: the open runs by their tokens."""

    def __init__(
        self,
        store: EventStore,
        dispatcher: Dispatcher,
        directory: Directory,
        capabilities: Capabilities,
        audit: Audit,
        settings: CallSettings,
        quotas: CallQuota | None = None,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._capabilities = capabilities
        self._audit = audit
        self._settings = settings
        self._quotas = quotas
        self._runaway: Callable[[str, str], None] = lambda app, reason: None
        self._called: OnCalled = lambda app, seconds, outcome: None
        self._tracer: Tracer = NO_TRACES
        self.directory = directory
        self.runs = OpenRuns()
        self._notices = Notices(directory, self.call)

    async def tell_callers(self) -> None:
        """Until cancelled: notify apps that asked for it when a caller has lost a right to call them."""
        await self._notices.run()

    # --- what gateways, API and CLI use --------------------------------------------------------------------------------------------

    async def call(
        self,
        caller: Caller,
        target: str,
        args: Mapping[str, Any],
        *,
        actions: Mapping[str, str] = NO_ACTIONS,
        run_token: str = "",
        revision: str = "",
        timeout: float | None = None,
        replay: bool = False,
        traceparent: str = "",
    ) -> CallAnswer:
        """Call and wait for the answer, at most `timeout` seconds or what the manifest allows, whichever is less.
        `actions`: the actions that are handed over, `app/action` by argument; the callee gets capabilities.

        Raises `Forbidden` and `Rejected` at once, the handler's own error, or `Unavailable` if the app is not running,
        died or took too long."""
        self._count(caller)
        async with self._recorded("call", caller, target) as record:
            name = self.resolve(caller, parse_target(target))
            record["action"] = str(name)
            checked = self.check(name, args, actions)
            context = self._context(caller, name, checked, actions, run_token, replay)
            record.update(run=context.id, cause=context.cause)
            try:
                with About(app=name.app, run=context.id):
                    return await self.invoke(
                        caller, name, checked, context, actions=actions, revision=revision, timeout=timeout,
                        traceparent=traceparent,
                    )  # fmt: skip
            except HandlerFailed as failed:
                raise failed.error from failed

    async def send(
        self,
        caller: Caller,
        target: str,
        args: Mapping[str, Any],
        *,
        actions: Mapping[str, str] = NO_ACTIONS,
        key: str | None = None,
        run_token: str = "",
        revision: str = "",
        traceparent: str = "",
    ) -> str:
        """Store the call in WORK and return its run's id. It is made with retries until it is DONE or FAILED, and takes
        effect once. Whether the caller may call is decided now, and again at each attempt.

        `key`: idempotency key of this caller for this action; the same key again is the same run. Without one, the key is
        made of the run and the arguments inside a run, else it is random. Raises `Forbidden` and `Rejected` at once.
        """
        self._count(caller)
        async with self._recorded("send", caller, target) as record:
            named = parse_target(target)
            name = self.resolve(caller, named)
            record["action"] = str(name)
            checked = self.check_size(str(name), self.check(name, args, actions))
            self._capabilities.demand(caller, actions)
            job = self._job(caller, name, stored_target(named), checked, actions, key, run_token, revision)
            record.update(run=job.id, cause=job.cause)
            if await self._store.runs.last(job.app, job.action, job.id) is None:
                with self._tracer.span(f"send {name}", "producer", traceparent, pcloud__run=job.id) as span:
                    trace = {"traceparent": span.traceparent} if span.traceparent else {}
                    await self._store.work.put(job.app, job.action, job.id, encode_job(job), trace)
            return job.id

    def callers(self, app: str) -> Rights:
        """Return who may call which of the app's actions now. Raises `Forbidden` for an app that is not notified of changes."""
        if not self.directory.is_internal(app, CALLERS_CHANGED):
            raise Forbidden(
                f"{app} has no internal action {CALLERS_CHANGED!r}: only an app that has it may list its callers"
            )
        return callers_of(self.directory, app)

    async def callers_told(self) -> None:
        """Wait, for some seconds at most, until the notified apps know which callers have lost a right to call them."""
        await self._notices.settled()

    def run(self, token: str, app: str) -> RunContext:
        """Return the open run of `app` that has this token. Raises `Forbidden`."""
        try:
            return self.runs.find(token, app)
        except Forbidden as error:
            self._audit.refused("api", f"app:{app}", "run", error.message)
            raise

    def on_runaway(self, callback: Callable[[str, str], None]) -> None:
        """Have `callback(app, reason)` called for an app whose calls cause each other beyond the limit."""
        self._runaway = callback

    def trace_with(self, tracer: Tracer) -> None:
        """Trace each call as a span, which is handed to the app."""
        self._tracer = tracer

    def on_called(self, callback: OnCalled) -> None:
        """Have `callback` called for each call that was to reach an app, including calls of triggers."""
        self._called = callback

    def lost(self, app: str) -> None:
        """Report that the app's process on this node has ended: its calls in progress fail now."""
        self._dispatcher.lost(app)

    # --- what the event processor uses ---------------------------------------------------------------------------------------------

    def reauthorize(self, job: Job, also: Callable[[], None] = lambda: None) -> tuple[Caller, ActionName]:
        """Return the caller of a stored call and the action it means, by the current rights. `also` raises `Forbidden`
        for what else the call depends on. Raises `Refused`, which is audited, `NotFound` or `Rejected`."""
        name = ActionName(job.app, job.action)
        try:
            also()
            caller = caller_now(self.directory, job.actor, job.through)
            if job.target:
                name = self.resolve(caller, parse_stored(job.target))
            else:
                demand_any(self.directory, caller, name)
            self._capabilities.demand(caller, job.actions)
        except Forbidden as error:
            self._audit.refused("send", job.actor, str(name), error.message, through=job.through)
            raise Refused(error.message) from error
        return caller, name

    def resolve(self, caller: Caller, target: Target) -> ActionName:
        """Return the action that `target` means for this caller, who may call it. Raises `Forbidden`, `NotFound` or
        `Rejected`."""
        name = self._resolve(caller, target)
        if caller != CORE and self.directory.is_internal(name.app, name.action):
            raise Forbidden(f"{name} can't be called: only PCloud itself calls it")
        return name

    def _resolve(self, caller: Caller, target: Target) -> ActionName:
        demand_scope(caller, target)
        if isinstance(target, CapabilityName):
            return self._capabilities.resolve(caller, target)
        if caller != CORE:
            demand(self.directory, caller, target)
        if isinstance(target, RoleAction):
            return ActionName(self.directory.holder(target.role), target.action)
        return target

    async def invoke(
        self,
        caller: Caller,
        name: ActionName,
        args: Mapping[str, Any],
        context: RunContext,
        *,
        actions: Mapping[str, str] = NO_ACTIONS,
        revision: str = "",
        timeout: float | None = None,
        attempt: int = 1,
        start_wait: float | None = None,
        traceparent: str = "",
    ) -> CallAnswer:
        """Ask the app, within an open run, with checked arguments and actions; capabilities are minted here,
        so that no stored call holds a token. Raises `HandlerFailed`, `NoInstance`, `Unavailable`."""
        self._demand_end(caller, name, context)
        action = self.directory.action(name.app, name.action)
        args = {**args, **await self._capabilities.mint_all(caller, name.app, actions)}
        seconds = min(action.seconds, timeout or action.seconds, self._settings.seconds)
        token = self.runs.open(context, name.app)
        headers = {
            "Pcloud-Call": secrets.token_hex(16),
            "Pcloud-Caller": caller.authority,
            "Pcloud-Actor": caller.actor,
            "Pcloud-Run": token,
            "Pcloud-Revision": revision,
            "Pcloud-Attempt": str(attempt),
            **({"Pcloud-Replay": "true"} if context.replay else {}),
        }
        try:
            body = _encoder.encode({"args": args})
            with self._tracer.span(f"call {name}", "client", traceparent, pcloud__run=context.id) as span:
                if span.traceparent:
                    headers["traceparent"] = span.traceparent
                return await self._ask(name, body, headers, seconds, start_wait)
        finally:
            self.runs.close(token)

    async def _ask(
        self, name: ActionName, body: bytes, headers: Mapping[str, str], seconds: float, start_wait: float | None
    ) -> CallAnswer:
        began, outcome = time.perf_counter(), "CANCELLED"
        try:
            answer = await self._dispatcher.request(name, body, headers, seconds=seconds, start_wait=start_wait)
            outcome = "OK"
            return answer
        except HandlerFailed as failed:
            outcome = failed.error.code
            raise
        except PCloudError as error:
            outcome = error.code
            raise
        finally:
            self._called(name.app, time.perf_counter() - began, outcome)

    def check(
        self, name: ActionName, args: Mapping[str, Any], actions: Mapping[str, str] = NO_ACTIONS
    ) -> dict[str, Any]:
        """Return the arguments in the action's types. Raises `Rejected`, or `NotFound` for an action that does not
        exist."""
        action = self.directory.action(name.app, name.action)
        return check_arguments(str(name), action.args, args, actions)

    def check_size(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments if they are small enough to be stored. Raises `Rejected`."""
        size, limit = len(_encoder.encode(args)), self._settings.stored_args
        if size > limit:
            raise Rejected(
                f"the arguments of {name} have {size} bytes, {limit} can be stored: put large data into the object store "
                "and pass its address"
            )
        return args

    # --- within ----------------------------------------------------------------------------------------------------------------------

    def _context(
        self, caller: Caller, name: ActionName, args: Mapping[str, Any], actions: Mapping[str, str], run_token: str, replay: bool
    ) -> RunContext:  # fmt: skip
        if run_token:
            call = _encoder.encode([args, actions] if actions else args)
            return self.runs.nested(run_token, calling_app(caller), name, call)
        if caller.run is not None:
            parent = caller.run
            return RunContext(
                call_run_id(secrets.token_hex(16)), parent.generation, parent.id, parent.depth + 1, parent.replay
            )
        return RunContext(call_run_id(secrets.token_hex(16)), replay=replay)

    def _job(
        self, caller: Caller, name: ActionName, target: str, args: dict[str, Any], actions: Mapping[str, str],
        key: str | None, run_token: str, revision: str,
    ) -> Job:  # fmt: skip
        if key is not None and not 0 < len(key) <= self._settings.key_length:
            raise Rejected(f"an idempotency key has 1 to {self._settings.key_length} characters")
        known = run_token or caller.run
        context = self._context(caller, name, args, actions, run_token, False) if known else RunContext("")
        self._demand_end(caller, name, context)
        own_key = context.id if run_token else secrets.token_hex(16)
        return Job(
            id=send_run_id(caller.actor, caller.through, str(name), key or own_key),
            kind="send",
            app=name.app,
            action=name.action,
            args=args,
            actions=dict(actions),
            actor=caller.actor,
            through=caller.through,
            target=target,
            created=time.time(),
            cause=context.cause,
            depth=context.depth,
            revision=revision,
            replay=context.replay,
        )

    def _count(self, caller: Caller) -> None:
        if self._quotas is not None:
            self._quotas.calls(caller.authority)

    def _demand_end(self, caller: Caller, name: ActionName, context: RunContext) -> None:
        """Raises `Rejected` for a chain of calls that looks endless."""
        if context.depth > MAX_DEPTH:
            reason = f"{name} is not called: {context.depth} runs caused each other, which looks like a loop"
            if caller.kind == "app":
                self._runaway(caller.name, reason)
            raise Rejected(reason)

    @contextlib.asynccontextmanager
    async def _recorded(self, kind: str, caller: Caller, target: str) -> AsyncGenerator[dict[str, Any]]:
        """Audit the block, however it ends; the body adds what it learns."""
        began = time.time()
        shown = "capability:…" if str(target).startswith("capability:") else str(target)[:256]
        record: dict[str, Any] = {
            "kind": kind,
            "time": began,
            "actor": caller.actor,
            "through": caller.through,
            "target": shown,
        }
        outcome = "CANCELLED"
        try:
            yield record
            outcome = "OK"
        except PCloudError as error:
            outcome = error.code
            raise
        finally:
            await self._audit.record({**record, "outcome": outcome, "seconds": round(time.time() - began, 6)})
