"""One connection to NATS: requests whose loss is known, and the JetStream API as plain dictionaries.

It translates the client library's errors for the rest of this package (`pull` reads its messages itself) and never
guesses: an answer that did not come is `NoAnswer`, and only the caller knows whether asking again is harmless. While the
server is silent (see `Pulse`), requests are refused at once; those of readers, and those that a start makes, wait.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from eventstore.nats_private import QuickClient, reconnect_wait
from eventstore.pulse import Patience, Pulse
from eventstore.settings import ConnectionSettings
from pcloud.errors import Unavailable

__all__ = ["ApiError", "Connection", "NoAnswer", "open_connection"]

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
NO_RESPONDERS = "503"
RECONNECT_SECONDS = 0.1
# JetStream is off: it has no leader, no memory or no disk now, or is starting.
NOT_NOW = frozenset({10008, 10009, 10039, 10074, 10076, 10194})
PROBE = "STREAM.INFO.GRAPH"
# The `starting` block that the current task runs in or was made in; such a task may outlive the block.
_start: ContextVar[object | None] = ContextVar("start", default=None)


class NoAnswer(Exception):
    """No answer arrived: it is unknown whether the server acted on the message."""


class ApiError(Unavailable):
    """JetStream refused the request; nothing was stored. `number`: JetStream's own (`nats errors lookup NUMBER`)."""

    def __init__(self, number: int, description: str) -> None:
        super().__init__(f"{description} (NATS {number})")
        self.number = number
        self.description = description


@asynccontextmanager
async def open_connection(settings: ConnectionSettings) -> AsyncGenerator[Connection]:
    """Connect, reconnect automatically, and close at the end of the block. Raises `Unavailable`."""
    connection = Connection()
    await connection.open(settings)
    try:
        yield connection
    finally:
        await connection.close()


class Connection:
    """Made by `open_connection`. Any task may use it at any time."""

    def __init__(self) -> None:
        self.client: Client = QuickClient()
        self._inbox = f"_INBOX.{secrets.token_hex(16)}."
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._asked = 0
        self._connected = asyncio.Event()
        self._listeners: set[Callable[[], None]] = set()
        self.held = ""
        self._released = asyncio.Event()
        self._released.set()
        self._starts: set[object] = set()  # the `starting` blocks that are entered now
        self._unreadable: dict[str, str] = {}  # by reader

    async def open(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self.pulse = Pulse(self._is_there, lambda: self._fail_waiting("the server is silent"), settings.patience)
        credentials = settings.credentials
        options: dict[str, Any] = {}
        if credentials.nkey_seed:
            options["nkeys_seed_str"] = credentials.nkey_seed
        elif credentials.user:
            options |= {"user": credentials.user, "password": credentials.password}
        last: list[Exception] = []

        async def note(error: Exception) -> None:
            last[:] = [error]
            log.debug("nats client: %r", error)

        try:
            async with asyncio.timeout(settings.connect_timeout):
                await self.client.connect(
                    [url.strip() for url in settings.url.split(",")],
                    name=settings.name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=reconnect_wait(RECONNECT_SECONDS),
                    ping_interval=20,
                    # Nothing is buffered while disconnected: a message is sent now, or the sender gets an error.
                    pending_size=0,
                    error_cb=note,
                    disconnected_cb=self._on_disconnect,
                    reconnected_cb=self._on_reconnect,
                    **options,
                )
                await self.subscribe(f"{self._inbox}*", self._on_answer)
        except (TimeoutError, OSError, nats.errors.Error, NoAnswer) as error:
            with suppress(Exception):
                await self.client.close()
            reason = last[0] if last else error
            raise Unavailable(
                f"the NATS server at {settings.url} can't be used: {reason or 'no connection'}"
            ) from error
        self._connected.set()

    async def close(self) -> None:
        self.pulse.closed = True
        with suppress(nats.errors.Error, OSError, TimeoutError):
            if self._connected.is_set():
                await self.client.flush(timeout=2)
        with suppress(nats.errors.Error, OSError):
            await self.client.close()
        self._fail_waiting("the connection was closed")

    def hold_writes(self, reason: str) -> None:
        """Refuse every write with this reason; '' allows them again."""
        self.held = reason
        if reason:
            self._released.clear()
        else:
            self._released.set()

    async def until_writable(self) -> None:
        """Wait until something can be stored."""
        await self._released.wait()
        await self.pulse.well()

    def check_writes(self) -> None:
        """Raises `Unavailable` while nothing can be stored; what is refused then was not sent."""
        if self.held:
            raise Unavailable(self.held)
        if not self._waits:
            self.pulse.check()

    def patience(self, seconds: float | None) -> Patience:
        """How long a request waits that may be sent again; None: until it is answered."""
        return Patience(self.pulse, self.pause, None if self._waits else seconds)

    @contextmanager
    def starting(self) -> Generator[None]:
        """Within the block, requests of this task and of those that it makes wait for a silent server; see
        `EventStore.starting`."""
        start = object()
        self._starts.add(start)
        token = _start.set(start)
        try:
            yield
        finally:
            _start.reset(token)
            self._starts.discard(start)

    @property
    def _waits(self) -> bool:
        return _start.get() in self._starts

    @property
    def unreadable(self) -> str:
        """Why a reader gets nothing new, if the server refuses it; '' otherwise."""
        return next(iter(self._unreadable.values()), "")

    def report_unreadable(self, reader: str, problem: str) -> None:
        """Have `unreadable` say why this reader gets nothing new; '' once it does, or has ended."""
        if problem:
            self._unreadable[reader] = problem
        else:
            self._unreadable.pop(reader, None)

    @property
    def max_payload(self) -> int:
        """The most bytes that one message may have, including its headers."""
        return self.client.max_payload

    async def connected(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for a connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        return self._connected.is_set()

    async def subscribe(self, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Call `callback` with each message, one after the other; the subscription survives reconnects. Raises
        `NoAnswer`."""
        try:
            return await self.client.subscribe(subject, cb=callback)  # pyright: ignore[reportUnknownMemberType]
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(f"no connection to NATS: {error!r}") from error

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each reconnect; returns a function that stops it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def send(
        self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Publish without waiting for an answer; raises `NoAnswer` without a connection."""
        try:
            await self.client.publish(subject, body, reply=reply, headers=None if headers is None else dict(headers))
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(f"no connection to NATS: {error!r}") from error

    async def ask(
        self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> Msg:
        """Publish and wait for the answer. Raises `NoAnswer` on a timeout, without a responder, or if the connection
        breaks meanwhile."""
        self._asked += 1
        reply = f"{self._inbox}{self._asked}"
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = future
        try:
            async with asyncio.timeout(timeout):
                await self.send(subject, body, headers, reply)
                answer = await future
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {timeout:g} s") from error
        finally:
            self._waiting.pop(reply, None)
        if answer.headers and answer.headers.get("Status") == NO_RESPONDERS:
            raise NoAnswer("JetStream is not there (yet)")
        return answer

    async def api(
        self, endpoint: str, request: Mapping[str, Any] | None = None, *, patience: float | None = 15.0
    ) -> dict[str, Any]:
        """Ask `$JS.API.<endpoint>` repeatedly until it answers: only for requests that may be repeated. Raises
        `ApiError` for a refusal, `Unavailable` after `patience` seconds (None: never), or at once while the server is
        silent."""
        body = b"" if request is None else msgspec.json.encode(request)
        wait = self.patience(patience)
        wait.check()
        while True:
            try:
                return await self._asked_api(endpoint, body)
            except NoAnswer as error:
                if not await wait.again():
                    raise Unavailable(f"the log does not answer ({endpoint}): {error}") from error

    async def _asked_api(self, endpoint: str, body: bytes) -> dict[str, Any]:
        answer = _decode((await self.ask(f"$JS.API.{endpoint}", body)).data)
        if "error" in answer:
            error = ApiError(int(answer["error"].get("err_code", 0)), str(answer["error"].get("description", "")))
            raise NoAnswer(error.message) if error.number in NOT_NOW else error
        return answer

    async def _is_there(self, seconds: float) -> bool:
        """Return True once the server answers, False after `seconds`: what `Pulse` asks."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self._asked_api(PROBE, b"")
                    except NoAnswer:
                        await self.pause(seconds)
                    except ApiError:
                        return True  # as before the stream is made
                    else:
                        return True
        return False

    async def pause(self, left: float) -> None:
        """Wait a moment, or, without a connection, for one, up to `left` seconds."""
        if self._connected.is_set():
            await asyncio.sleep(min(0.05, left))
        else:
            await self.connected(left)

    async def _on_answer(self, message: Msg) -> None:
        future = self._waiting.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message)

    async def _on_disconnect(self) -> None:
        self._connected.clear()
        self._fail_waiting("the connection broke")

    async def _on_reconnect(self) -> None:
        self._connected.set()
        for listener in tuple(self._listeners):
            listener()

    def _fail_waiting(self, reason: str) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(NoAnswer(reason))
                # The caller that gave up waiting does not read it.
                future.exception()
