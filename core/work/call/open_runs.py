"""The runs that are open on this node, by the token that the app gives back with each of its requests.

A token is 128 random bits, lives only in memory and ends with its call: what an abandoned handler writes
afterwards is refused. It proves to core that a write belongs to that app's run; the run's id becomes part of the
write's key."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

from core.access.caller import RunContext
from core.work.call.run_ids import nested_run_id
from core.work.call.target import ActionName
from pcloud.errors import Forbidden

__all__ = ["OpenRuns"]


@dataclass(frozen=True, slots=True)
class _Open:
    context: RunContext
    app: str
    calls: Counter[bytes] = field(default_factory=Counter[bytes])


class OpenRuns:
    """Token → run. Not shared between nodes: the app on this node talks to this node's gateway."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def open(self, context: RunContext, app: str) -> str:
        token = secrets.token_hex(16)
        self._open[token] = _Open(context, app)
        return token

    def close(self, token: str) -> None:
        self._open.pop(token, None)

    def find(self, token: str, app: str) -> RunContext:
        """Return the run of this token. Raises `Forbidden` if it is not an open run of `app`."""
        return self._find(token, app).context

    def nested(self, token: str, app: str, action: ActionName, args: bytes) -> RunContext:
        """Return the run of a call that the run `token` makes: the same call at the same place gets the same id in every
        attempt."""
        run = self._find(token, app)
        # A hash: a handler that makes many large calls must not fill core's memory with their arguments.
        call = blake2b(str(action).encode() + b"\0" + args, digest_size=32).digest()
        run.calls[call] += 1
        parent = run.context
        return RunContext(
            id=nested_run_id(parent.id, call, run.calls[call]),
            generation=parent.generation,
            cause=parent.id,
            depth=parent.depth + 1,
            replay=parent.replay,
        )

    def _find(self, token: str, app: str) -> _Open:
        run = self._open.get(token)
        if run is None or run.app != app:
            raise Forbidden(
                f"this is not an open run of {app}: it has ended, exceeded its time limit, or belongs to another app"
            )
        return run
