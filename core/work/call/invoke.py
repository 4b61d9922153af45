"""Asks an app: opens the run of a call, sends the call over the bus, and closes the run with the answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from core.access.caller import MAX_DEPTH, Caller, RunContext
from core.trace import NO_TRACES, Tracer
from core.work.call.answer import CallAnswer, HandlerFailed
from core.work.call.arguments import encode_args
from core.work.call.capability import Capabilities
from core.work.call.dispatch import Dispatcher
from core.work.call.open_runs import OpenRuns
from core.work.call.settings import CallSettings
from core.work.call.target import ActionName
from pcloud.errors import PCloudError, Rejected
from projections.directory import Directory

__all__ = ["NO_ACTIONS", "Invoker", "OnCalled"]

NO_ACTIONS: Mapping[str, str] = MappingProxyType({})

OnCalled = Callable[[str, float, str], None]
"""Called for each call that was to reach an app: with its name, the seconds until the answer, and `OK` or the error's code."""


class Invoker:
    """`runs`: the open runs by their tokens. `called`, `runaway`, `tracer`: see `Calls`."""

    def __init__(
        self, dispatcher: Dispatcher, directory: Directory, capabilities: Capabilities, settings: CallSettings
    ) -> None:
        self.dispatcher, self.settings = dispatcher, settings
        self._directory, self._capabilities = directory, capabilities
        self.runs = OpenRuns()
        self.runaway: Callable[[str, str], None] = lambda app, reason: None
        self.called: OnCalled = lambda app, seconds, outcome: None
        self.tracer: Tracer = NO_TRACES

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
        self.demand_end(caller, name, context)
        action = self._directory.action(name.app, name.action)
        args = {**args, **await self._capabilities.mint_all(caller, name.app, actions)}
        seconds = min(action.seconds, timeout or action.seconds, self.settings.seconds)
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
            body = encode_args({"args": args})
            with self.tracer.span(f"call {name}", "client", traceparent, pcloud__run=context.id) as span:
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
            answer = await self.dispatcher.request(
                name, body, headers, seconds=seconds, start_wait=start_wait,
                # An app learns of the end of rights at once: what it starts next must know.
                when_ready=not self._directory.is_internal(name.app, name.action),
            )  # fmt: skip
            outcome = "OK"
            return answer
        except HandlerFailed as failed:
            outcome = failed.error.code
            raise
        except PCloudError as error:
            outcome = error.code
            raise
        finally:
            self.called(name.app, time.perf_counter() - began, outcome)

    def demand_end(self, caller: Caller, name: ActionName, context: RunContext) -> None:
        """Raises `Rejected` for a chain of calls that looks endless."""
        if context.depth > MAX_DEPTH:
            reason = f"{name} is not called: {context.depth} runs caused each other, which looks like a loop"
            if caller.kind == "app":
                self.runaway(caller.name, reason)
            raise Rejected(reason)
