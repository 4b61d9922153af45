"""What caused a run: back through events, runs and calls to the device, app or owner that started it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from eventstore import EventStore
from pcloud.event import StoredEvent
from projections.directory import Directory
from projections.runs.projection import RunsProjection
from projections.runs.record import Run

__all__ = ["Chains", "FindCall"]

Link = dict[str, Any]
FindCall = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""The audit record of the call that was the run of this id, with its `cause`; None if it is no longer known."""
LONGEST = 64


class Chains:
    """Reads only. `find_call`: calls between apps are in the audit log, not among the runs."""

    def __init__(self, store: EventStore, directory: Directory, runs: RunsProjection, find_call: FindCall) -> None:
        self._store, self._directory, self._runs, self._find_call = store, directory, runs, find_call

    async def chain(self, run: Run) -> list[Link]:
        """Return `{kind, id, actor, through, time, what}` of each link, newest first: `run`, `send` and `init` with the action,
        `event` with the entity and its change, `call`; last the origin: `person`, `device` or `app`. A forgotten run ends the
        chain as `unknown`."""
        links: list[Link] = []
        cause = await self._of_run(run, links)
        while cause and len(links) < LONGEST:
            before = await self._runs.get(cause)
            cause = await (self._of_run(before, links) if before is not None else self._of_call(cause, links))
        if links[-1]["kind"] != "unknown":
            links.append(self._origin(links[-1]))
        return links

    async def _of_run(self, run: Run, links: list[Link]) -> str:
        """Add the run, and the event that it is for; return the run or call that caused it, '' if there is no cause."""
        kind = "run" if run.kind == "trigger" else run.kind
        what = f"{run.app}/{run.action}"
        links.append(
            {
                **_by(run.actor, run.through),
                "kind": kind,
                "id": run.id,
                "time": run.created,
                "what": what,
                "state": run.state,
            }
        )
        if not run.sequence:
            return run.cause
        event = await self._event(run.sequence)
        if event is None or event.tx != run.cause:
            links.append(_unknown(run.cause, "the event was forgotten"))
            return ""
        what = f"{event.ref} {event.kind.value}"
        links.append(
            {
                **_by(event.actor, event.through),
                "kind": "event",
                "id": event.tx,
                "time": event.time,
                "what": what,
                "sequence": event.sequence,
            }
        )
        return event.cause

    async def _of_call(self, id: str, links: list[Link]) -> str:
        record = await self._find_call(id)
        if record is None:
            links.append(_unknown(id, "the record of this run or call is no longer kept"))
            return ""
        what = record.get("action") or record.get("target", "")
        who = _by(record["actor"], record.get("through", ""))
        links.append({**who, "kind": "call", "id": id, "time": record["time"], "what": what})
        return record.get("cause", "")

    async def _event(self, sequence: int) -> StoredEvent | None:
        async for event in self._store.read(sequence, sequence):
            return event
        return None

    def _origin(self, first: Link) -> Link:
        kind, _, name = first["actor"].partition(":")
        return {
            **_by(first["actor"], first["through"]), "kind": kind, "id": name or kind, "time": first["time"],
            "what": self._title(kind, name),
        }  # fmt: skip

    def _title(self, kind: str, name: str) -> str:
        """Return the device's name for people, or the app's title."""
        records = self._directory.records
        if kind == "device":
            return records.devices[name].name if name in records.devices else name
        if kind == "app":
            return records.apps[name].title if name in records.apps else name
        return name or kind


def _by(actor: str, through: str) -> Link:
    return {"actor": actor, "through": through}


def _unknown(id: str, what: str) -> Link:
    return {"kind": "unknown", "id": id, **_by("", ""), "time": None, "what": what}
