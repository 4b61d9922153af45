"""The protocols of the services that apps need from the rest of core; `core.node.bootstrap` passes the real ones in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from core.access.caller import Caller, RunContext
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref

if TYPE_CHECKING:
    from core.graph.command import EntityChange
    from projections.directory import App, Directory

__all__ = [
    "Api",
    "AppsLog",
    "Archives",
    "BusUsers",
    "CallAnswer",
    "Calls",
    "Commands",
    "CoreServices",
    "GraphQuota",
    "OpenRuns",
    "Processor",
    "Visits",
]  # fmt: skip


class Commands(Protocol):
    async def write(
        self, actor: str, changes: Sequence[EntityChange], *, key: str | None = None, urgent: bool = False
    ) -> Revision: ...

    async def forget_types(self, actor: str, app: str, progress: Callable[[int], None] = ...) -> int:
        """Remove the entities of the app's types from every view and from the log, and its fields from others'
        entities; returns the number of entities. The app's catalog must still be known."""
        ...


class GraphQuota(Protocol):
    def used(self, app: str) -> int:
        """Bytes that the app has written to the graph."""
        ...

    def problem(self, app: str) -> str:
        """Why the app's writes are refused now, '' if they are accepted."""
        ...


class BusUsers(Protocol):
    """The embedded nats-server's users, as far as apps sign in there."""

    async def set_app_users(self, users: Mapping[str, str]) -> None: ...


class Archives(Protocol):
    """Archives by their sha256, copied from file to file and never held in memory whole. `sweep` removes the remains of killed uploads."""

    async def put(self, name: str, source: bytes | Path) -> None: ...
    async def fetch(self, name: str, target: Path) -> None: ...
    async def names(self) -> set[str]: ...
    async def delete(self, name: str) -> None: ...
    async def sweep(self) -> int: ...


class AppsLog(Protocol):
    @property
    def epoch(self) -> str: ...
    @property
    def archives(self) -> Archives: ...
    def read(self, first: int, last: int, *, subjects: Sequence[str] = ...) -> AsyncIterator[StoredEvent]: ...
    async def last_event(self, ref: Ref) -> StoredEvent | None: ...


class CallAnswer(Protocol):
    @property
    def result(self) -> Any: ...
    @property
    def revision(self) -> str: ...


class OpenRuns(Protocol):
    """The open runs, by the token that an app returns."""

    def open(self, context: RunContext, app: str) -> str: ...
    def close(self, token: str) -> None: ...


class Calls(Protocol):
    @property
    def runs(self) -> OpenRuns: ...

    async def call(
        self, caller: Caller, target: str, args: Mapping[str, Any], *, actions: Mapping[str, str] = ...,
        run_token: str = "", revision: str = "", timeout: float | None = None, traceparent: str = "",
    ) -> CallAnswer: ...  # fmt: skip

    async def send(
        self, caller: Caller, target: str, args: Mapping[str, Any], *, actions: Mapping[str, str] = ...,
        key: str | None = None, run_token: str = "", revision: str = "", traceparent: str = "",
    ) -> str: ...  # fmt: skip

    def callers(self, app: str) -> Mapping[str, Mapping[str, int]]:
        """Return who may call which of the app's actions, and since when; raises `Forbidden` for an app that does not need to know."""
        ...

    async def callers_told(self) -> None:
        """Wait, for a few seconds at most, until the apps concerned have received the loss of a caller's rights."""
        ...

    def run(self, token: str, app: str) -> RunContext:
        """Return the run's context; raises `Forbidden` unless `token` belongs to an open run of `app`."""
        ...

    def lost(self, app: str) -> None:
        """The app's process on this node has ended: fail the calls that it was working on."""
        ...

    def not_ready(self, app: str, reason: str) -> None:
        """The app on this node can't answer calls now: let them wait. With the reason '' it can again."""
        ...


class Visits(Protocol):
    """The current visitors of the apps' own web servers; implemented by `core.front.ingress.visits.Visits`."""

    def visitor(self, app: str, header: str) -> Caller:
        """Return the visitor of `app` that `header` names; raises `Forbidden` if core did not sign it or the visit is over."""
        ...


class Processor(Protocol):
    """The event processor.

    `attach` creates the consumers of the app's triggers, or finds them; `detach` removes them. `suspend` undoes
    `attach` and keeps the positions in the log. `retire` gives up the positions of triggers of another version.
    `run_init` runs an init action once for each installation number.
    """

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
        """Close the open connections of the callers that match."""
        ...


@dataclass(frozen=True, slots=True)
class CoreServices:
    """All of them. `server`: the bus."""

    commands: Commands
    directory: Directory
    store: AppsLog
    server: BusUsers
    api: Api
    calls: Calls
    processor: Processor
    visits: Visits
    graph_quota: GraphQuota
