"""Undo: the inverse of a transaction, as a transaction of its own. The undone transaction stays on the log.

Created entities are deleted, changed ones get their values and links back, deleted ones come back with their links, including those
that others had made to them. If later changes depend on what would be undone, the whole undo is refused, and each reason is named.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from core.graph.command.derived_ids import request_hash, transaction_of_key
from core.graph.command.protocols import FoldingLoop, UndoLog
from core.graph.command.staging import Staging
from core.graph.command.transact import Commands, Outcome, WriteRequest
from core.graph.command.undo_plan import BOUNDS, UndoPlan, plan_undo
from core.graph.command.undo_view import OneView
from pcloud.errors import Conflict, NotFound, Rejected, Unavailable
from pcloud.event import Kind, StoredEvent
from projections.graph.contract import GraphReader, KnownTransaction
from projections.graph.past import event_size
from projections.retention import TRANSACTION_DAYS

__all__ = ["Undoing"]

MOST_REASONS = 5
MOST_WAITING = 16
MOST_TURNS = 1_000  # undone, done again, undone again …
_TX = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Undoing:
    """The caller owns log, graph and loop. One transaction at a time is undone, so that memory is bounded."""

    def __init__(self, log: UndoLog, graph: GraphReader, loop: FoldingLoop, commands: Commands) -> None:
        self._log, self._graph, self._loop, self._commands = log, graph, loop, commands
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def undo(self, actor: str, tx: str, only: OneView | None = None) -> Outcome:
        """Append the inverse of transaction `tx`, or, if that was undone and redone, the inverse of the last redo. While `tx` is undone,
        a second call answers as the first, `repeated`. `result`: `{"undone", "entities", "leftOut"}`. `only`: restrict to what was done
        through an app and what the app itself may write.

        Raises `NotFound` for a transaction that the graph does not know (any more), `Rejected` for one that can't be undone, `Conflict`
        with the reasons if later changes depend on it, or if nothing of it is left to undo.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} transactions wait already to be undone: try again later")
        self._waiting += 1
        try:
            async with self._turn:
                await self._loop.wait_for(await self._log.last_sequence())  # so that other undos are known
                if only is not None:
                    await self._demand_made(only, tx)
                standing, undone = await self._standing(tx)
                if only is not None and standing != tx:
                    await self._demand_made(only, standing)
                if undone is not None:
                    return Outcome(undone.revision, undone.result, repeated=True)
                return await self._undo(actor, standing, only)
        finally:
            self._waiting -= 1

    async def _standing(self, tx: str) -> tuple[str, KnownTransaction | None]:
        """Return the transaction by which the effect of `tx` is in force, itself or the newest undo of its undo, and the transaction
        that has undone that, if any."""
        if not _TX.fullmatch(tx):
            raise _unknown(tx)
        for _ in range(MOST_TURNS):
            undoing = transaction_of_key("undo", tx)
            if (undone := await self._graph.transaction(undoing)) is None:
                return tx, None
            again = transaction_of_key("undo", undoing)
            if await self._graph.transaction(again) is None:
                if undone.forgotten:
                    raise Rejected(f"{tx} has been undone, and what it was about has been forgotten since")
                return tx, undone
            tx = again
        raise Rejected(f"it was undone and done again {MOST_TURNS:,} times: undo {tx} by itself")

    async def _demand_made(self, only: OneView, tx: str) -> None:
        """Raises `NotFound` for a transaction that was not made through the app, as for one that does not exist."""
        known = await self._graph.transaction(tx)
        last = known.revision.sequence if known is not None else 0
        events = [event async for event in self._log.read(last, last)] if last else []
        if not events or events[-1].tx != tx or not only.made(events[-1]):
            raise _unknown(tx)

    async def _undo(self, actor: str, tx: str, only: OneView | None) -> Outcome:
        request = WriteRequest(
            actor,
            transaction_of_key("undo", tx),
            keyed=True,
            request=request_hash(["undo", tx]),
            cause=tx,
            through=only.app if only is not None else "",
        )

        async def stage(staging: Staging) -> Mapping[str, Any]:
            events = await self._events(tx)
            if only is not None:
                only.demand(tx, events)
            plan = await plan_undo(self._log, self._graph, events)
            if plan.reasons and only is not None:
                raise only.refusal(tx)
            if plan.reasons:
                raise Conflict(
                    f"{tx} can't be undone, as later changes depend on it: {_few(plan.reasons)}. Undo those first"
                )
            await staging.apply(plan.changes)
            if not staging.events():
                raise only.refusal(tx) if only is not None else Conflict(_nothing_left(tx, plan))
            if only is not None:
                only.demand(tx, staging.events())
            return {"undone": [tx], "entities": len(events), "leftOut": plan.left_out}

        return await self._commands.transact(request, stage)

    async def _events(self, tx: str) -> list[StoredEvent]:
        """Return the transaction's members, from the log."""
        known = await self._graph.transaction(tx)
        if known is None:
            raise _unknown(tx)
        if known.forgotten:
            raise Rejected(f"{tx} can't be undone: what it was about has been forgotten and no longer exists")
        last = known.revision.sequence
        (end,) = [event async for event in self._log.read(last, last)] or (None,)
        found: list[StoredEvent] = []
        left = BOUNDS.size
        async for event in self._log.read(last - end.total + 1 if end is not None else last, last):
            if event.tx == tx:
                self._refuse(event)
                found.append(event)
                if (left := left - event_size(event)) < 0:
                    raise Rejected(
                        f"{tx} can't be undone: it has more than {BOUNDS.size >> 20} MiB; change it back by hand"
                    )
        if end is None or len(found) != end.total:
            raise Rejected(f"{tx} can't be undone: a part of it has been purged from the log")
        return found

    def _refuse(self, event: StoredEvent) -> None:
        if event.ref.app == "core":
            raise Rejected(
                f"{event.tx} can't be undone: it changed {event.ref}, which belongs to the platform; use its own command"
            )
        if event.kind is Kind.FORGOTTEN:
            raise Rejected(f"{event.tx} can't be undone: it made PCloud forget {event.ref}")
        if str(event.ref.type_name) not in self._graph.catalog.types:
            raise Rejected(f"{event.tx} can't be undone: there is no type {event.ref.type_name} any more")


def _unknown(tx: str) -> NotFound:
    return NotFound(
        f"there is no transaction {tx[:60]!r} of the last {TRANSACTION_DAYS} days: `pcloud graph history` names an entity's"
    )


def _few(reasons: list[str]) -> str:
    more = len(reasons) - MOST_REASONS
    return "; ".join(reasons[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")


def _nothing_left(tx: str, plan: UndoPlan) -> str:
    why = f": the other ends of its links are gone, or taken ({_few(plan.left_out)})" if plan.left_out else ""
    return f"nothing of {tx} is left to be undone{why}"
