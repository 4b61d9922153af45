"""What the app manager needs of the rest of core, and nothing more; `core.node.bootstrap` hands the real ones in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from core.access.caller import Caller, RunContext
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref

if TYPE_CHECKING:
    from core.graph.command import NodeChange
    from projections.directory import App

__all__ = [
    "Answer", "Api", "Archives", "BusUsers", "Calls", "Commands", "GraphQuota", "OpenRuns", "Processor", "Store", "Visits",
]  # fmt: skip


class Commands(Protocol):
    async def write(self, actor: str, changes: Sequence[NodeChange], *, key: str | None = None) -> Revision: ...

    async def forget_types(self, actor: str, app: str, progress: Callable[[int], None] = ...) -> int:
        """Take the entities of the app's types out of every view and out of the log, and its fields from others'; how
        many there were. The app's catalog must be known still."""
        ...


class GraphQuota(Protocol):
    def used(self, app: str) -> int:
        """Bytes that the app has written into the graph."""
        ...

    def problem(self, app: str) -> str:
        """Why the app's writes are refused now, '' when they are not."""
        ...


class BusUsers(Protocol):
    """The embedded nats-server, as far as apps sign in there."""

    async def set_app_users(self, users: Mapping[str, str]) -> None: ...


class Archives(Protocol):
    """Archives by their sha256; from file to file, never whole in memory. `sweep`: removes what killed uploads left."""

    async def put(self, name: str, source: bytes | Path) -> None: ...
    async def fetch(self, name: str, target: Path) -> None: ...
    async def names(self) -> set[str]: ...
    async def delete(self, name: str) -> None: ...
    async def sweep(self) -> int: ...


class Store(Protocol):
    @property
    def epoch(self) -> str: ...
    @property
    def archives(self) -> Archives: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...
    async def last_event(self, ref: Ref) -> StoredEvent | None: ...


class Answer(Protocol):
    @property
    def result(self) -> Any: ...
    @property
    def revision(self) -> str: ...


class OpenRuns(Protocol):
    """The runs that are open now, by the token that an app gives back."""

    def open(self, context: RunContext, app: str) -> str: ...
    def close(self, token: str) -> None: ...


class Calls(Protocol):
    @property
    def runs(self) -> OpenRuns: ...

    async def call(
        self, caller: Caller, target: str, args: Mapping[str, Any], *, actions: Mapping[str, str] = ...,
        run_token: str = "", revision: str = "", timeout: float | None = None, traceparent: str = "",
    ) -> Answer: ...  # fmt: skip

    async def send(
        self, caller: Caller, target: str, args: Mapping[str, Any], *, actions: Mapping[str, str] = ...,
        key: str | None = None, run_token: str = "", revision: str = "", traceparent: str = "",
    ) -> str: ...  # fmt: skip

    def callers(self, app: str) -> Mapping[str, Mapping[str, int]]:
        """Who may call which of the app's actions, and since when; raises `Forbidden` for an app that need not know."""
        ...

    async def callers_told(self) -> None:
        """Wait, for some seconds at most, until the apps that need to know have heard who lost a right to call them."""
        ...

    def run(self, token: str, app: str) -> RunContext:
        """Raises `Forbidden` unless `token` stands for an open run of `app`."""
        ...

    def lost(self, app: str) -> None:
        """The app's process on this node has ended: what it was working on fails now."""
        ...


class Visits(Protocol):
    """Who visits the apps' own web servers now; `core.front.ingress.visits.Visits` is one."""

    def visitor(self, app: str, header: str) -> Caller:
        """Who `header` says visits `app`; raises `Forbidden` for what core did not say, or not of a visit of now."""
        ...


class Processor(Protocol):
    """The event processor: `attach` makes the consumers of the app's triggers, or finds them; `detach` removes them.
    `suspend`: as before `attach`, the places in the log stay. `retire`: gives up those of triggers of another version.
    `run_init`: an init action as a run, once for each number of an installation."""

    async def attach(self, app: App) -> None: ...
    async def detach(self, app: str, *, forget: bool = False) -> None: ...
    async def suspend(self, app: str) -> None: ...
    async def retire(self, app: str, triggers: Sequence[str]) -> None: ...
    async def run_init(
        self, app: str, number: int, call: str, args: Mapping[str, Any], *, installation: str, seconds: float
    ) -> Any: ...
    async def triggers(self, app: str | None = None) -> list[dict[str, Any]]: ...


class Api(Protocol):
    async def http(self, request: web.Request, caller: Caller) -> web.StreamResponse: ...

    async def disconnect(self, whom: Callable[[Caller], bool]) -> None:
        """Close the open connections of these callers."""
        ...
