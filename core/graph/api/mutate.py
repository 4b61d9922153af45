"""Mutations: all root fields of one operation become one transaction; the payloads are read once the graph has folded it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.graph.api.history import HistoryReader
from core.graph.api.input import InputReader
from core.graph.api.operation import Payload, Request, Step
from core.graph.api.seen import settle_versions
from core.graph.command import (
    Commands,
    EntityChange,
    IdSource,
    Outcome,
    Staging,
    WriteRequest,
    request_hash,
    transaction_of_key,
    transaction_of_run,
)
from core.graph.schema.view_type import ViewType
from pcloud.errors import Rejected
from pcloud.revision import Revision
from pcloud.subject import new_id
from projections.graph.contract import Every, GraphReader, IdIn, Select

__all__ = ["Mutations"]

MAX_ENTITIES = 1_000
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Mutations:
    """Changes the graph for callers, through their views."""

    def __init__(self, commands: Commands, graph: GraphReader, log: HistoryReader) -> None:
        self._commands, self._graph, self._log = commands, graph, log

    async def run(self, request: Request, steps: Sequence[Step]) -> tuple[dict[str, Any], Revision]:
        """Return the payloads by response key, and the revision that has the changes."""
        write, seed = _write_request(request)
        deleted: dict[str, dict[str, dict[str, Any]]] = {}

        async def stage(staging: Staging) -> Mapping[str, Any]:
            request.binder.begin()
            reader = InputReader(request.served.view, self._commands.id_key, IdSource(*seed))
            result: dict[str, list[str]] = {}
            for step in steps:
                result[step.key] = await self._stage(request, step, staging, reader, deleted)
            return result

        outcome = await self._commands.transact(write, stage)
        payloads: dict[str, Any] = {}
        for step in steps:
            payloads[step.key] = await self._payload(request, step, outcome, deleted.get(step.key))
        return payloads, outcome.revision

    # --- staging -----------------------------------------------------------------------------------------------------------

    async def _stage(
        self, request: Request, step: Step, staging: Staging, reader: InputReader, deleted: dict[str, Any]
    ) -> list[str]:
        """Stage one root field; return the ids that it concerns."""
        assert step.root is not None and step.root.type is not None
        type_, arguments = step.root.type, request.arguments(step)
        match step.root.kind:
            case "add":
                changes, ids = reader.add(type_, arguments["input"], upsert=bool(arguments.get("upsert")))
                await staging.apply(changes)
                return ids
            case "update":
                return await self._update(request, type_, arguments["input"], staging, reader)
            case _:
                return await self._delete(request, step, arguments, staging, deleted)

    async def _update(
        self, request: Request, type_: ViewType, given: Mapping[str, Any], staging: Staging, reader: InputReader
    ) -> list[str]:
        rows = await self._matching(request, type_, given["filter"], Select(type_.stored, ("id",), version=True))
        if rows:
            nested, wanted = reader.patch(type_, given.get("set") or {}, given.get("remove") or {})
            changes = [_update_of(type_, row, wanted) for row in rows]
            await staging.apply([*nested, *changes])
        return [row["id"] for row in rows]

    async def _delete(
        self, request: Request, step: Step, arguments: Mapping[str, Any], staging: Staging, deleted: dict[str, Any]
    ) -> list[str]:
        """Read the payload before, as the entities are gone afterwards."""
        assert step.root is not None and step.root.type is not None
        type_, payload = step.root.type, step.payload
        rows = await self._matching(request, type_, arguments["filter"], Select(type_.stored, ("id",), version=True))
        ids = [row["id"] for row in rows]
        await staging.apply([EntityChange(type_.ref(row["id"]), "delete", seen=row["_version"]) for row in rows])
        deleted[step.key] = await self._entities(request, payload, ids)
        return ids

    async def _matching(
        self, request: Request, type_: ViewType, where: Mapping[str, Any], select: Select
    ) -> list[dict[str, Any]]:
        filter = request.binder.filter(type_, where) or Every(())
        rows = await self._graph.fetch(
            Select(select.type, select.scalars, filter=filter, first=MAX_ENTITIES + 1, version=True)
        )
        if len(rows) > MAX_ENTITIES:
            raise Rejected(f"the filter matches more than {MAX_ENTITIES} {type_.name}: change them in parts")
        return rows

    # --- answering ---------------------------------------------------------------------------------------------------------

    async def _payload(
        self, request: Request, step: Step, outcome: Outcome, deleted: Mapping[str, dict[str, Any]] | None
    ) -> dict[str, Any]:
        ids: list[str] = list(outcome.result.get(step.key, ()))
        payload = step.payload
        if step.root is not None and step.root.kind == "delete":
            # A repeated delete finds nothing.
            entities: Mapping[str, dict[str, Any]] = {} if outcome.repeated or deleted is None else deleted
        elif not outcome.repeated and all(plan.ids_alone for plan in payload.entities.values()):
            entities = {key: {id: plan.shape({"id": id}) for id in ids} for key, plan in payload.entities.items()}
        else:
            entities = await self._entities(request, payload, ids)
        answer: dict[str, Any] = {}
        for key, what in payload.keys:
            if what == "entities":
                answer[key] = [entities[key][id] for id in ids if id in entities.get(key, {})]
            else:
                answer[key] = len(ids) if what == "count" else what
        return answer

    async def _entities(self, request: Request, payload: Payload, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return, by response key, the entities in the requested shape, by id."""
        found: dict[str, dict[str, Any]] = {}
        for key, plan in payload.entities.items():
            select = request.binder.exactly(plan, IdIn(tuple(ids)), len(ids))
            rows = await self._graph.fetch(select) if ids else []
            await settle_versions(request.served.view, self._log, plan, rows)
            found[key] = {row["id"]: plan.shape(row) for row in rows}
        return found


def _update_of(type_: ViewType, row: Mapping[str, Any], wanted: EntityChange) -> EntityChange:
    return EntityChange(
        type_.ref(row["id"]), "update", set=wanted.set, link=wanted.link, unlink=wanted.unlink,
        clear=wanted.clear, discard=wanted.discard, seen=row["_version"],
    )  # fmt: skip


def _write_request(request: Request) -> tuple[WriteRequest, tuple[str, ...]]:
    """Return the transaction's identity, and the seed of the ids that it gives to new entities."""
    caller, run = request.caller, request.caller.run
    key, ordinal = request.header("Idempotency-Key"), _ordinal(request.header("Pcloud-Ordinal")) if run else 0
    name = request.operation.node.name
    tx = asked = ""
    if key or ordinal:
        asked = request_hash([request.document.text, name.value if name else "", request.raw_variables])
    if key:
        tx = transaction_of_key(caller.actor, key, caller.through)
    elif run is not None and ordinal:
        tx = transaction_of_run(run.id, run.generation, ordinal, asked)
    seed = (run.id, str(ordinal)) if run is not None and ordinal else (tx,) if tx else ()
    write = WriteRequest(
        caller.actor,
        tx or new_id(),
        keyed=bool(tx),
        request=asked,
        cause=run.id if run else "",
        depth=run.depth if run else 0,
        traceparent=_trace(request.header("traceparent")),
        adds_update=run is not None,
        through=caller.through,
    )
    return write, seed


def _trace(text: str) -> str:
    """Ignore a malformed trace context, as W3C's recommendation says."""
    return text if TRACEPARENT.fullmatch(text) else ""


def _ordinal(text: str) -> int:
    """Return the number of a write within its run; 0 if it has none."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise Rejected(f"Pcloud-Ordinal is {text!r}: number the writes of a run from 1")
    return int(text)
