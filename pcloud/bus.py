"""The app's side of the bus: accepts calls from core's dispatcher, keeps them alive with heartbeats, and answers each
exactly once.

Subscriptions are FastStream's plain ones with `no_reply`: in every case, the answer is published here. This module does
not use JetStream, request() or any subject except `call.<app>.<action>` and a call's reply subject, because the app's
user has no other rights.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pcloud.action import ActionHandler
from pcloud.context import CallContext, Seen, entered
from pcloud.environment import Environment
from pcloud.errors import PCloudError, Rejected, Unavailable
from pcloud.faststream_private import drain
from pcloud.subject import call_subject

if TYPE_CHECKING:
    from faststream.nats import NatsBroker
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["Bus", "BusSettings"]

log = logging.getLogger("pcloud.bus")
LOOK = 1.0  # seconds between two looks at the clock


@dataclass(frozen=True, slots=True)
class BusSettings:
    """`concurrency`: handlers that run at once. `backlog`: calls that may wait for a handler; further calls are
    refused.

    `heartbeat`: seconds between heartbeats of a running call. `connect_seconds`: how long to try to reach the bus at
    the start. `seconds`: time limit of a call without a deadline.
    """

    concurrency: int = 16
    backlog: int = 256
    heartbeat: float = 5.0
    connect_seconds: float = 30.0
    seconds: float = 60.0
    message_bytes: int = 2_000
    traceback_bytes: int = 8_000


class Bus:
    def __init__(self, environment: Environment, actions: Mapping[str, ActionHandler], settings: BusSettings) -> None:
        self._environment = environment
        self._actions = actions
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._calls = set[asyncio.Task[None]]()
        self._broker: NatsBroker | None = None
        self._client: Client | None = None
        self._closed = asyncio.Event()

    async def start(self) -> None:
        """Connect and accept calls; raises `Unavailable` if the bus can't be reached or refuses the app."""
        self._broker = broker = self._make_broker()
        for action in self._actions.values():
            subject = call_subject(self._environment.name, action.name)
            subscriber = broker.subscriber(subject, queue=self._environment.name, no_reply=True, decoder=_as_is)
            subscriber(self._receiver(action))
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                await broker.start()
                self._client = await broker.connect()
                # nats-py's flush() writes its PING before the buffered data, so only the second one comes after the
                # subscriptions.
                await self._client.flush(5)
                await self._client.flush(5)
        except Exception as error:
            reason = "no answer" if isinstance(error, TimeoutError) else repr(error)
            raise Unavailable(f"the bus at {self._environment.nats_url} can't be used: {reason}") from error

    async def watch(self) -> None:
        """Wait until the connection is closed for good, then raise. A connection that comes back is not an error."""
        await self._closed.wait()
        raise Unavailable("the bus has closed the app's connection for good: its credentials are refused")

    async def stop_taking(self) -> None:
        """Accept no more calls; those that have arrived are still answered."""
        if self._broker is not None:
            await drain(self._broker)

    async def stop(self, seconds: float) -> None:
        """Finish running calls for up to `seconds`, abort the others (they are answered with `UNAVAILABLE`), and
        disconnect."""
        await self.stop_taking()
        if self._calls:
            await asyncio.wait(self._calls, timeout=seconds)
        for call in tuple(self._calls):
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=2)
        if self._broker is not None:
            await self._broker.stop()
            self._broker = None

    def _make_broker(self) -> NatsBroker:
        from faststream.nats import NatsBroker
        from faststream.nats.security import NatsNKey

        seed = self._environment.nkey_seed_file
        return NatsBroker(
            self._environment.nats_url,
            security=NatsNKey.from_file(seed) if seed else None,
            name=self._environment.name,
            apply_types=False,
            logger=None,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            closed_cb=self._on_closed,
            error_cb=self._on_error,
        )

    async def _on_closed(self) -> None:
        self._closed.set()

    async def _on_error(self, error: Exception) -> None:
        log.warning("the bus reports: %r", error)

    def _receiver(self, action: ActionHandler) -> Any:
        async def receive(message: Msg) -> None:
            # nats-py delivers the next message only when this returns, so the call continues in a task of its own.
            call = asyncio.create_task(self._serve(action, message))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

        return receive

    async def _serve(self, action: ActionHandler, message: Msg) -> None:
        heart = asyncio.create_task(self._beat(message.reply))
        try:
            answer = await self._answer(action, message)
        except asyncio.CancelledError:
            answer = self._error(Unavailable(f"the app {self._environment.name} is stopping: try again"))
        finally:
            heart.cancel()
        await self._publish(message.reply, *answer)

    async def _beat(self, reply: str) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            await self._publish(reply, b"", {"Pcloud-Heartbeat": "1"})

    async def _answer(self, action: ActionHandler, message: Msg) -> tuple[bytes, dict[str, str]]:
        try:
            if len(self._calls) > self._settings.concurrency + self._settings.backlog:
                raise Unavailable(f"{len(self._calls)} calls are waiting in this app: try again later")
            call = self._context(action, message)
            arguments = action.check(_arguments(message.data))
            result = await self._run(action, arguments, call)
            body = msgspec.json.encode({"result": result, "revision": call.seen.revision})
            self._check_size(action, body)
        except Exception as error:
            if not isinstance(error, PCloudError):
                log.exception("action %s failed", action.name)
            return self._error(error)
        return body, {"Pcloud-Status": "ok"}

    def _context(self, action: ActionHandler, message: Msg) -> CallContext:
        headers = message.headers or {}
        try:
            return CallContext(
                id=headers.get("Pcloud-Call", ""),
                action=action.name,
                caller=headers.get("Pcloud-Caller", ""),
                actor=headers.get("Pcloud-Actor", ""),
                run=headers.get("Pcloud-Run", ""),
                attempt=int(headers.get("Pcloud-Attempt") or 1),
                replay=headers.get("Pcloud-Replay") == "true",
                deadline=float(headers.get("Pcloud-Deadline") or time.time() + self._settings.seconds),
                seen=Seen(headers.get("Pcloud-Revision", "")),
                traceparent=headers.get("traceparent", ""),
            )
        except ValueError as error:
            raise Rejected(f"the call's headers can't be read: {error}") from error

    async def _run(self, action: ActionHandler, arguments: dict[str, Any], call: CallContext) -> Any:
        """Return the handler's result. The handler is cancelled at the deadline, and abandoned a second later if it
        ignores that."""
        handler = asyncio.create_task(self._in_slot(action, arguments, call), name=f"{action.name} {call.id}")
        try:
            await _until_deadline(handler, call)
            if handler.done():
                return handler.result()
            raise Unavailable(f"action {action.name} was not finished at its deadline and has been cancelled")
        finally:
            if not handler.done():
                handler.cancel()
                await asyncio.wait({handler}, timeout=1.0)
                handler.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _in_slot(self, action: ActionHandler, arguments: dict[str, Any], call: CallContext) -> Any:
        entered(call)
        async with self._slots:
            return await action.invoke(arguments)

    def _check_size(self, action: ActionHandler, body: bytes) -> None:
        most = self._client.max_payload if self._client else 0
        if len(body) > most:
            raise Rejected(
                f"action {action.name} answered {len(body)} bytes, the bus carries at most {most}: answer with a link instead"
            )

    def _error(self, error: Exception) -> tuple[bytes, dict[str, str]]:
        told = isinstance(error, PCloudError)
        message = error.message if told else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        body = {
            "code": error.code if told else "INTERNAL",
            "message": message[: self._settings.message_bytes],
            "traceback": trace[-self._settings.traceback_bytes :],
        }
        return msgspec.json.encode({"error": body}), {"Pcloud-Status": "error"}

    async def _publish(self, reply: str, body: bytes, headers: dict[str, str]) -> None:
        if not reply or self._client is None:
            return
        try:
            await self._client.publish(reply, body, headers=headers)
        except Exception as error:  # core notices the missing answer by the missing heartbeats
            log.warning("an answer could not be published: %r", error)


async def _until_deadline(handler: asyncio.Task[Any], call: CallContext) -> None:
    """Wait for the handler, at most until the call's deadline. That moves by the time in which this process stood still: core stops
    it to copy its files for a backup, and does not count that time either."""
    while not handler.done() and (seconds := min(call.remaining, LOOK)) > 0:
        began = time.time()
        await asyncio.wait({handler}, timeout=seconds)
        if (stopped := time.time() - began - seconds) > LOOK:
            call.deadline += stopped


async def _as_is(message: Any) -> Any:
    """FastStream's decoder: pass the message on as nats-py gave it."""
    return message.raw_message


def _arguments(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, dict[str, Any]])["args"]
    except (msgspec.MsgspecError, KeyError) as error:
        raise Rejected(f'a call\'s body must be {{"args": {{…}}}}: {error}') from error
