"""Writes: one request becomes one transaction on the log, exactly once, and is answered when the local graph has folded it.

Changes are staged against the local graph. If they were decided on an old version, the log refuses them, and the whole request is decided
again once the graph has caught up. Nothing here writes a projection, so there is no second write that could be lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.access.caller import MAX_DEPTH
from core.access.quota import size_of
from core.graph.command.change import EntityChange
from core.graph.command.derived_ids import request_hash, transaction_of_key
from core.graph.command.forget import Forgetting, ForgottenHook
from core.graph.command.protocols import FoldingLoop, GraphLoop, WritableLog
from core.graph.command.staging import Staging, Stale
from eventstore import Transaction
from pcloud.errors import Conflict, PCloudError, Rejected, Unavailable
from pcloud.event import Event, Kind
from pcloud.revision import Revision
from pcloud.subject import Ref, new_id
from projections.graph.contract import GraphReader, KnownTransaction

__all__ = ["Commands", "Outcome", "WriteRequest"]

ATTEMPTS = 5


class EventQuota(Protocol):
    """Bounds how much an actor may write; `core.access.quota.Quotas` is one implementation."""

    def events(self, actor: str, count: int, size: int, /) -> None:
        """Raises `Unavailable` for an actor that has used up its quota."""
        ...


class GraphQuota(Protocol):
    """Bounds how much of the log an actor may fill; `core.access.quota.GraphQuota` is one implementation."""

    def writing(self, actor: str, count: int, size: int, /, *, removes: bool = False) -> AbstractContextManager[None]:
        """Surround the write. Raises `Unavailable` for an actor beyond its quota, unless its events only delete (`removes`)."""
        ...


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """`tx`: the transaction's id; `keyed`: whether it is derived from the request, so that it may have been done before. `request`: hash
    of the request. `adds_update`: in a run, where adding an existing entity updates what differs. `through`: the app through which the
    actor writes; the write counts against that app's quota. `urgent`: see `Transaction`."""

    actor: str
    tx: str
    keyed: bool = False
    request: str = ""
    cause: str = ""
    depth: int = 0
    traceparent: str = ""
    adds_update: bool = False
    through: str = ""
    urgent: bool = False

    @property
    def payer(self) -> str:
        return f"app:{self.through}" if self.through else self.actor


@dataclass(frozen=True, slots=True)
class Outcome:
    """`revision`: a revision at which the graph has the write. `repeated`: it had been done before; `result` is the first one's."""

    revision: Revision
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    repeated: bool = False


Stage = Callable[[Staging], Awaitable[Mapping[str, Any]]]


class Commands:
    """The caller owns the log, the graph and the loops, and closes them. `directory_loop`: keeps core's own types."""

    def __init__(
        self,
        store: WritableLog,
        graph: GraphReader,
        loop: GraphLoop,
        directory_loop: FoldingLoop,
        quotas: EventQuota | None = None,
        graph_quota: GraphQuota | None = None,
    ) -> None:
        self._store, self._graph, self._loop, self._quotas = store, graph, loop, quotas
        self._directory_loop, self._graph_quota = directory_loop, graph_quota
        self._forgetting = Forgetting(store, graph, loop)

    @property
    def id_key(self) -> bytes:
        return self._store.id_key

    async def write(
        self,
        actor: str,
        changes: Sequence[EntityChange],
        *,
        key: str | None = None,
        cause: str = "",
        depth: int = 0,
        through: str = "",
        urgent: bool = False,
    ) -> Revision:
        """Do `changes` as one transaction; return the revision that has them. With a `key`, a second time does nothing."""
        tx = new_id() if key is None else transaction_of_key(actor, key, through)
        asked = request_hash([_plain(change) for change in changes]) if key is not None else ""

        async def stage(staging: Staging) -> Mapping[str, Any]:
            await staging.apply(changes)
            return {}

        request = WriteRequest(
            actor, tx, keyed=key is not None, request=asked, cause=cause, depth=depth, through=through, urgent=urgent
        )
        return (await self.transact(request, stage)).revision

    async def forget(self, actor: str, refs: Iterable[Ref], *, cause: str = "", depth: int = 0) -> Revision:
        """Remove entities, and what is deleted along with them, from the log and every projection; see `Forgetting.forget`."""
        return await self._forgetting.forget(actor, refs, cause=cause, depth=depth)

    async def forget_types(self, actor: str, app: str, progress: Callable[[int], None] = lambda count: None) -> int:
        """Forget all entities of the app's types and its fields on others'; see `Forgetting.forget_types`."""
        return await self._forgetting.forget_types(actor, app, progress)

    async def finish_forgetting(self) -> None:
        """Finish what a node that died while it forgot has left. Call it at each start, once all hooks are registered."""
        await self._forgetting.finish()

    def on_forgotten(self, hook: ForgottenHook) -> None:
        """Register `hook` to drop its data about forgotten entities; it may receive the same ones again."""
        self._forgetting.on_forgotten(hook)

    async def transact(self, request: WriteRequest, stage: Stage) -> Outcome:
        """Stage, append, wait for the graph; start again if the state has changed meanwhile. `stage` returns what is to be answered.

        Raises `Conflict` if the state keeps changing, or if the key came with another request before.
        """
        if request.depth > MAX_DEPTH:
            raise Rejected(
                f"this write has {request.depth} causes behind it, {MAX_DEPTH} are allowed: "
                "do apps trigger each other in a circle?"
            )
        for _ in range(ATTEMPTS):
            staging = Staging(self._graph, self._graph.catalog, adds_update=request.adds_update)
            result: Mapping[str, Any] = {}
            refused: Stale | PCloudError | None = None
            try:
                result = await stage(staging)
            except (Stale, PCloudError) as error:
                refused = error
            # Asked after all that was read for staging. Before, an earlier attempt could be folded in between: its own entities would
            # make the write fail, and its changes would be done twice.
            if request.keyed and (known := await self._graph.transaction(request.tx)) is not None:
                return self._first_answer(request, known)
            if isinstance(refused, PCloudError):
                raise refused
            if refused is None and (outcome := await self._append(request, staging, result)) is not None:
                return outcome
        raise Conflict(f"others kept changing the same entities, {ATTEMPTS} times: try again")

    async def _append(self, request: WriteRequest, staging: Staging, result: Mapping[str, Any]) -> Outcome | None:
        """Return None if the state has changed; the graph has caught up with it then."""
        events = staging.events()
        if not events:
            return Outcome(Revision(self._store.epoch, self._graph.checkpoint.sequence), result)
        loop: FoldingLoop = self._directory_loop
        if any(event.ref.app != "core" for event in events):
            loop = self._loop
            await self._loop.check()
        transaction = Transaction(
            request.tx,
            events,
            request.actor,
            request.cause,
            request.depth,
            request.request,
            result,
            request.traceparent,
            request.through,
            urgent=request.urgent,
        )
        with self._charged(request, events):
            try:
                appended = await self._store.append(transaction)
            except Conflict:
                await loop.wait_for(await self._store.last_sequence())
                return None
            try:
                await loop.wait_for(appended.revision.sequence)
            except Unavailable as error:
                raise Unavailable(
                    f"the change is stored, at {appended.revision}, but can't be shown yet: {error.message}; "
                    "don't repeat it without its idempotency key"
                ) from error
        if appended.repeated and request.keyed:
            known = await self._graph.transaction(request.tx)
            return self._first_answer(request, known) if known is not None else None
        return Outcome(appended.revision, result)

    def _charged(self, request: WriteRequest, events: Sequence[Event]) -> AbstractContextManager[None]:
        """Count events against the quotas of the actors that pay, until they are stored. Raises `Unavailable` beyond one."""
        size = sum(size_of([event.change.set, event.change.link]) for event in events)
        if self._quotas is not None:
            self._quotas.events(request.payer, len(events), size)
        if self._graph_quota is None:
            return nullcontext()
        removes = all(event.kind is Kind.DELETED for event in events)
        return self._graph_quota.writing(request.payer, len(events), size, removes=removes)

    @staticmethod
    def _first_answer(request: WriteRequest, known: KnownTransaction) -> Outcome:
        if known.forgotten and known.request == request.request:
            raise Conflict("what this idempotency key did has been forgotten since: use a new key to do it again")
        if known.request != request.request:
            raise Conflict("this idempotency key came with another request before: use a new key for a new request")
        return Outcome(known.revision, known.result, repeated=True)


def _plain(change: EntityChange) -> list[Any]:
    return [
        str(change.ref), change.kind, dict(change.set), list(change.unset), {name: list(ids) for name, ids in change.link.items()},
        {name: list(ids) for name, ids in change.unlink.items()}, change.must_not_exist, list(change.clear), dict(change.discard),
    ]  # fmt: skip
