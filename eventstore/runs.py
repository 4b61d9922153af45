"""RUNS: the last state of every run, `run.<app>.<action>.<id>`, one message per subject. Only core writes it.

`expected` decides which writer wins: if two nodes take the same run, the first one to write gets it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from eventstore.connection import ApiError, Connection
from eventstore.follow import follow
from eventstore.message import get_message
from eventstore.publish import publish, publish_all
from eventstore.retry import until_answered
from eventstore.wire import EXPECTED, Message
from pcloud.errors import Conflict, Unavailable
from pcloud.subject import RUN_SUBJECTS, ActionRef

__all__ = ["NewState", "RunState", "RunStore"]

STREAM = "RUNS"
WRONG_SEQUENCE = frozenset({10071, 10164})


class RunState(NamedTuple):
    """`time` in seconds since 1970, by the server."""

    sequence: int
    subject: str
    time: float
    body: bytes


class NewState(NamedTuple):
    """A state as `RunStore.put` accepts it."""

    app: str
    action: str
    id: str
    body: bytes
    ttl: float | None = None


class RunStore:
    """Available as `EventStore.runs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(
        self, app: str, action: str, id: str, body: bytes, ttl: float | None = None, *, expected: int | None = None
    ) -> int:
        """Store the run's state, which expires after `ttl` seconds, and return its sequence. `expected`: the sequence
        of the state before it (0: there is no earlier one); otherwise raises `Conflict`. Raises `Unavailable` if it
        can't be stored."""
        message = Message(ActionRef(app, action, id).run_subject, _lifetime(ttl), body)
        if expected is not None:
            message.headers[EXPECTED] = str(expected)
        try:
            return (
                await until_answered(self._connection, lambda: publish(self._connection, message, 5.0), message.subject)
            ).sequence
        except ApiError as error:
            if error.number in WRONG_SEQUENCE:
                return await self._echo(message, error)
            raise Unavailable(f"the state of {message.subject} can't be stored: {error}") from error

    async def put_all(self, states: Sequence[NewState]) -> None:
        """Store all of these states, at most 1,000, or none: much cheaper than `put` for each. Sent again if no answer
        came, so a state may be stored twice in a row. Raises `Unavailable`."""
        messages = [
            Message(ActionRef(state.app, state.action, state.id).run_subject, _lifetime(state.ttl), state.body)
            for state in states
        ]
        try:
            await until_answered(
                self._connection,
                lambda: publish_all(self._connection, messages, 5.0),
                f"{len(messages)} states of runs",
            )
        except ApiError as error:
            raise Unavailable(f"{len(messages)} states of runs can't be stored: {error}") from error

    async def last(self, app: str, action: str, id: str) -> bytes | None:
        """The run's state as stored by the leader; None if it does not exist or has expired."""
        state = await self.state(app, action, id)
        return state and state.body

    async def state(self, app: str, action: str, id: str) -> RunState | None:
        """Like `last`, with its sequence."""
        found = await get_message(self._connection, STREAM, {"last_by_subj": ActionRef(app, action, id).run_subject})
        return found and RunState(found.sequence, found.subject, found.time, found.body)

    async def last_sequence(self) -> int:
        return int((await self._connection.api(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"])

    async def follow(self, after: int) -> AsyncGenerator[list[RunState], None]:
        """States after sequence `after` as they are written, at most 500 at once; a state that a newer one has replaced
        may be missing."""
        async with aclosing(follow(self._connection, STREAM, after, [RUN_SUBJECTS])) as batches:
            async for batch in batches:
                yield [RunState(message.sequence, message.subject, message.time, message.body) for message in batch]

    async def _echo(self, message: Message, error: ApiError) -> int:
        """Return True if the refusal only echoes an attempt whose acknowledgement was lost: then the stored state is
        this one."""
        found = await get_message(self._connection, STREAM, {"last_by_subj": message.subject})
        if found is not None and found.body == message.body:
            return found.sequence
        raise Conflict(f"{message.subject} has another state meanwhile: read it again") from error


def _lifetime(ttl: float | None) -> dict[str, str]:
    return {} if ttl is None else {"Nats-TTL": f"{max(1, int(ttl))}s"}
