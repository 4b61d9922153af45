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
from typing import Any, Protocol

from core.access.audit import Audit
from core.access.caller import Caller, RunContext
from core.trace import Tracer
from core.trace.about import About
from core.work.call.answer import CallAnswer, HandlerFailed
from core.work.call.arguments import check_arguments, encode_args
from core.work.call.authorization import Authorization
from core.work.call.callers import CALLERS_CHANGED, Rights, callers_of
from core.work.call.invoke import NO_ACTIONS, Invoker, OnCalled
from core.work.call.job import Job, encode_job
from core.work.call.notices import Notices
from core.work.call.permission import calling_app
from core.work.call.run_ids import call_run_id, send_run_id
from core.work.call.target import ActionName, parse_target, stored_target
from eventstore import EventStore
from pcloud.errors import Forbidden, PCloudError, Rejected
from projections.directory import Directory

__all__ = ["CallQuota", "Calls"]


class CallQuota(Protocol):
    """Bounds how often an actor may call; `core.access.quota.Quotas` is one implementation."""

    def calls(self, actor: str, /) -> None:
        """Raises `Unavailable` for an actor beyond its quota."""
        ...


class Calls:
    """Made by `open_calls`. `runs`: the open runs by their tokens."""

    def __init__(
        self,
        store: EventStore,
        directory: Directory,
        authorization: Authorization,
        invoker: Invoker,
        audit: Audit,
        quotas: CallQuota | None = None,
    ) -> None:
        self._store = store
        self._audit = audit
        self._quotas = quotas
        self._settings = invoker.settings
        self.directory, self.authorization, self.invoker = directory, authorization, invoker
        self.runs = invoker.runs
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
        died or took too long, and at once while the log's server, which is the bus too, is silent."""
        self._store.check()
        self._count(caller)
        async with self._recorded("call", caller, target) as record:
            name = self.authorization.resolve(caller, parse_target(target))
            record["action"] = str(name)
            checked = self.check(name, args, actions)
            context = self._context(caller, name, checked, actions, run_token, replay)
            record.update(run=context.id, cause=context.cause)
            try:
                with About(app=name.app, run=context.id):
                    return await self.invoker.invoke(
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
        made of the run and the arguments inside a run, else it is random. Raises `Forbidden` and `Rejected` at once, and
        `Unavailable` while the log's server, which is the bus too, is silent.
        """
        self._store.check()
        self._count(caller)
        async with self._recorded("send", caller, target) as record:
            named = parse_target(target)
            name = self.authorization.resolve(caller, named)
            record["action"] = str(name)
            checked = self.check_size(str(name), self.check(name, args, actions))
            self.authorization.demand_handed_over(caller, actions)
            job = self._job(caller, name, stored_target(named), checked, actions, key, run_token, revision)
            record.update(run=job.id, cause=job.cause)
            if await self._store.runs.last(job.app, job.action, job.id) is None:
                with self.invoker.tracer.span(f"send {name}", "producer", traceparent, pcloud__run=job.id) as span:
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
        self.invoker.runaway = callback

    def trace_with(self, tracer: Tracer) -> None:
        """Trace each call as a span, which is handed to the app."""
        self.invoker.tracer = tracer

    def on_called(self, callback: OnCalled) -> None:
        """Have `callback` called for each call that was to reach an app, including calls of triggers."""
        self.invoker.called = callback

    def lost(self, app: str) -> None:
        """Report that the app's process on this node has ended: its calls in progress fail now."""
        self.invoker.dispatcher.lost(app)

    def stopped(self) -> contextlib.AbstractContextManager[None]:
        """All apps on this node are stopped on purpose within this block: no call in progress counts as late or dead for it."""
        return self.invoker.dispatcher.stopped()

    def not_ready(self, app: str, reason: str) -> None:
        """Report why the app on this node can't answer calls now: they wait, except for those that PCloud alone makes.
        With the reason '' it can again."""
        self.invoker.dispatcher.not_ready(app, reason)

    # --- what the event processor uses, too ----------------------------------------------------------------------------------------

    def check(
        self, name: ActionName, args: Mapping[str, Any], actions: Mapping[str, str] = NO_ACTIONS
    ) -> dict[str, Any]:
        """Return the arguments in the action's types. Raises `Rejected`, or `NotFound` for an action that does not
        exist."""
        action = self.directory.action(name.app, name.action)
        return check_arguments(str(name), action.args, args, actions)

    def check_size(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments if they are small enough to be stored. Raises `Rejected`."""
        size, limit = len(encode_args(args)), self._settings.stored_args
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
            call = encode_args([args, actions] if actions else args)
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
        self.invoker.demand_end(caller, name, context)
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
