"""Carries one call to an app over the bus, and its answer back.

The only publisher of `call.>` in the account APPS. Each request has a fresh random reply token of 128 bits under
`_INBOX.core.<app>.`, where only that app may publish: an app can't forge a call, a caller or another app's answer.
(nats-py's own `request()` is never used: its next inbox can be guessed.) Each call has its own subscription, limited to its
token and to a number of messages: late messages, unknown tokens and floods stop at the server and cost core nothing.

A handler that works sends heartbeats. A handler that is silent for `silence` seconds counts as dead, even if it had more
time left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, OutboundBufferLimitError

from core.work.call.answer import CallAnswer, NoInstance, decode_answer
from core.work.call.target import ActionName
from eventstore.nats_private import reconnect_wait
from pcloud.errors import Rejected, Unavailable

__all__ = ["DispatchSettings", "Dispatcher"]

log = logging.getLogger(__name__)

HEARTBEAT = "Pcloud-Heartbeat"
STATUS = "Pcloud-Status"
INBOX = "_INBOX.core"
LOOK = 0.1


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Times in seconds, sizes in bytes. `start_wait`: how long a call waits for an app that is not running (yet)."""

    silence: float = 20.0
    start_wait: float = 15.0
    poll_first: float = 0.02
    poll_last: float = 0.5
    answer_limit: int = 1024 * 1024
    # Heartbeats come every five seconds; an app may send them at four times that rate, with some reserve.
    messages_a_second: float = 1.0
    messages_at_least: int = 20
    pending_limit: int = 10_000


@dataclass(slots=True, eq=False)
class _Pending:
    """One request in progress. `done`: the answer, or None if the action has no listener; `heard`: time of the last sign of life."""

    action: ActionName
    seconds: float
    done: asyncio.Future[Msg | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    heard: float = field(default_factory=time.monotonic)
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.deadline = self.heard + self.seconds

    async def hear(self, message: Msg) -> None:
        """Take a message on the reply subject: an answer, a heartbeat, or the server's report that the action has no listener."""
        headers = message.headers or {}
        if HEARTBEAT in headers:
            self.heard = time.monotonic()
        elif headers.get("Status") == "503" and not message.data:
            self.finish(None)
        else:
            self.finish(message)

    def finish(self, message: Msg | None) -> None:
        if not self.done.done():
            self.done.set_result(message)

    def stood_still(self, began: float, ended: float) -> None:
        """Leave the time between the two out of its limits."""
        self.heard = max(self.heard, ended)
        self.deadline += ended - max(began, self.deadline - self.seconds)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Dispatcher:
    """Calls on the bus. Made by `Dispatcher.open`, which closes it."""

    def __init__(self, client: Client, settings: DispatchSettings) -> None:
        self._client = client
        self._settings = settings
        self._pending: dict[str, _Pending] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._not_ready: dict[str, str] = {}  # the reason, by app
        self._stopped = False
        self._stood = 0.0  # seconds that the apps were stopped on purpose, in all

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, options: Mapping[str, Any], settings: DispatchSettings | None = None
    ) -> AsyncGenerator[Dispatcher]:
        """Connect with the dispatcher's own user; `options` are nats-py's (`user`, `password` or `nkeys_seed_str`)."""
        client = Client()
        dispatcher = cls(client, settings or DispatchSettings())
        try:
            await client.connect(
                url,
                name="pcloud dispatcher",
                max_reconnect_attempts=-1,
                reconnect_time_wait=reconnect_wait(0.2),
                error_cb=_report,
                **options,
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(f"the bus at {url} can't be reached: {error}") from error
        try:
            yield dispatcher
        finally:
            for pending in list(dispatcher._pending.values()):
                pending.fail(Unavailable("core is stopping"))
            await client.close()

    async def request(
        self,
        action: ActionName,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        start_wait: float | None = None,
        when_ready: bool = True,
    ) -> CallAnswer:
        """Call `action` and wait for its answer, at most `seconds` from when an instance has the call. `when_ready`:
        an app that is not ready is not asked until it is.

        Raises `HandlerFailed` with the handler's error; `NoInstance` if no instance started, or was ready, within
        `start_wait` seconds; `Unavailable` if the handler fell silent or took too long; `Rejected` for a body that is too large
        for the bus."""
        wait = self._settings.start_wait if start_wait is None else start_wait
        until = time.monotonic() + wait - self._stood
        delay = self._settings.poll_first
        while True:
            reason = self._not_ready.get(action.app, "") if when_ready else ""
            message = None if reason else await self._once(action, body, headers, seconds)
            if message is not None:
                return self._read(action, message)
            if not self._stopped and time.monotonic() + delay > until + self._stood:
                state = f"not ready: {reason}" if reason else "not running"
                raise NoInstance(f"{action} can't be called: the app {action.app} is {state}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._settings.poll_last)

    def not_ready(self, app: str, reason: str) -> None:
        """The app on this node can't answer calls now: new ones wait. With the reason '' it can again."""
        if reason:
            self._not_ready[app] = reason
        else:
            self._not_ready.pop(app, None)

    @contextlib.contextmanager
    def stopped(self) -> Generator[None]:
        """The apps are stopped on purpose within this block: its time counts for no call."""
        began, self._stopped = time.monotonic(), True
        try:
            yield
        finally:
            self._stopped = False
            now = time.monotonic()
            self._stood += now - began
            for pending in self._pending.values():
                pending.stood_still(began, now)

    def lost(self, app: str) -> None:
        """The app's process on this node is gone: fail its calls now instead of after the silence."""
        for pending in list(self._pending.values()):
            if pending.action.app == app:
                pending.fail(Unavailable(f"{pending.action} died: the app {app} stopped during the call"))

    async def _once(self, action: ActionName, body: bytes, headers: Mapping[str, str], seconds: float) -> Msg | None:
        """Send one request; return None if the action has no listener (also while the bus itself is down)."""
        if not self._client.is_connected:
            return None
        if len(self._pending) >= self._settings.pending_limit:
            raise Unavailable(f"{len(self._pending)} calls are in progress, which is the limit: try again later")
        token = secrets.token_hex(16)
        pending = self._pending[token] = _Pending(action, seconds)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(min(LOOK, seconds), self._look)
        reply = f"{INBOX}.{action.app}.{token}"
        sent = {**headers, "Pcloud-Deadline": f"{time.time() + seconds:.3f}"}
        try:
            answers = await self._listen(reply, pending)
            try:
                await self._publish(action, body, reply, sent)
                return await pending.done
            finally:
                with contextlib.suppress(NatsError):
                    await answers.unsubscribe()
        finally:
            del self._pending[token]

    async def _listen(self, reply: str, pending: _Pending) -> Subscription:
        """Subscribe to one call's reply subject, for as many messages as an honest handler sends."""
        most = self._settings.messages_at_least + int(pending.seconds * self._settings.messages_a_second)
        try:
            answers = await self._client.subscribe(reply, cb=pending.hear)  # pyright: ignore[reportUnknownMemberType]
            await answers.unsubscribe(limit=most)
        except NatsError as error:
            raise Unavailable(f"{pending.action} can't be called: {error}") from error
        return answers

    async def _publish(self, action: ActionName, body: bytes, reply: str, headers: dict[str, str]) -> None:
        try:
            await self._client.publish(action.subject, body, reply=reply, headers=headers)
        except MaxPayloadError as error:
            raise Rejected(
                f"the arguments of {action} have {len(body)} bytes, the bus allows {self._client.max_payload}: "
                "put large data into the object store and pass its address"
            ) from error
        except (NatsError, OutboundBufferLimitError) as error:
            raise Unavailable(f"{action} can't be called: {error}") from error

    def _look(self) -> None:
        """Fail calls that are too late or too silent. One check serves all of them: a timer for each would cost more than
        the rest of a quick call."""
        now = time.monotonic()
        for pending in [] if self._stopped else list(self._pending.values()):
            if now >= pending.deadline:
                pending.fail(Unavailable(f"{pending.action} did not answer within its limit of {pending.seconds:g} s"))
            elif now >= pending.heard + self._settings.silence:
                silence = f"no sign of life for {self._settings.silence:g} s while it worked"
                pending.fail(Unavailable(f"{pending.action} died: {silence}"))
        self._looking = asyncio.get_running_loop().call_later(LOOK, self._look) if self._pending else None

    def _read(self, action: ActionName, message: Msg) -> CallAnswer:
        status = (message.headers or {}).get(STATUS, "")
        return decode_answer(str(action), status, message.data, self._settings.answer_limit)


async def _report(error: Exception) -> None:
    log.warning("bus: %s", error)
