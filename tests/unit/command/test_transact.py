"""What a writer receives when the log or the view does not keep up."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from core.graph.command import Commands, EntityChange
from core.graph.command.staging import Staging
from core.graph.command.transact import WriteRequest
from eventstore import Appended, Transaction
from pcloud.errors import Unavailable
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.graph.catalog import Catalog, FieldDef, TypeDef
from projections.graph.contract import EntityState, KnownTransaction

NOTE = Ref("notes", "Note", "n1")


class Log:
    epoch, id_key = "e", b""

    def __init__(self) -> None:
        self.appended: list[Transaction] = []

    async def append(self, tx: Transaction) -> Appended:
        self.appended.append(tx)
        return Appended(Revision("e", 7), (7,))

    async def last_sequence(self) -> int:
        return 7


class Graph:
    catalog = Catalog({"notes/Note": TypeDef("notes/Note", {"text": FieldDef("text", "String")})})
    checkpoint = SimpleNamespace(sequence=6)

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        return {ref: EntityState(ref, 0, exists=False) for ref in refs}


class SlowView:
    async def check(self) -> None:
        """The types can be shown."""

    async def wait_for(self, sequence: int, timeout: float = 10.0) -> None:
        raise Unavailable("the view 'graph' is at 6 and did not reach 7 within 10 s: try again")


class Counted:
    """A quota that records what was counted, and for which app."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, int, int]] = []

    def events(self, actor: str, count: int, size: int) -> None:
        self.counted.append((actor, count, size))
        raise Unavailable("beyond the quota")


@pytest.mark.parametrize(("through", "counts"), [("", "person:owner"), ("notes", "app:notes")])
async def test_events_count_by_size_against_their_cause(through: str, counts: str) -> None:
    """Writes of an app's page with the owner's session count for the app."""
    log, quota = Log(), Counted()
    commands = Commands(log, Graph(), SlowView(), SlowView(), quota)  # type: ignore[arg-type]

    async def stage(staging: Staging) -> dict[str, Any]:
        await staging.apply([EntityChange(NOTE, "add", set={"text": "x" * 10_000})])
        return {}

    with pytest.raises(Unavailable, match="beyond"):
        await commands.transact(WriteRequest("person:owner", "0" * 32, through=through), stage)
    [(who, count, size)] = quota.counted
    assert (who, count) == (counts, 1) and size >= 10_000
    assert not log.appended


async def test_stored_change_not_yet_shown_is_reported_as_stored() -> None:
    """A caller without a key that receives "try again" would write it twice."""
    log, graph = Log(), Graph()
    commands = Commands(log, graph, SlowView(), SlowView())  # type: ignore[arg-type]
    changes: list[Any] = [EntityChange(NOTE, "add", set={"text": "x"})]
    with pytest.raises(Unavailable, match=r"the change is stored, at .*don't repeat it without"):
        await commands.write("owner", changes)
    assert len(log.appended) == 1


class CatchingUp(Graph):
    """A graph that folds an earlier attempt of the same request just before it is asked for the first entities."""

    def __init__(self) -> None:
        self.folded = False
        self.known: KnownTransaction | None = None

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        self.folded = True
        return {ref: EntityState(ref, 5, exists=True) for ref in refs}

    async def transaction(self, tx: str) -> KnownTransaction | None:
        return self.known if self.folded else None


@pytest.mark.parametrize("kind", ["add", "update"])
async def test_attempt_folded_while_its_repetition_is_staged_is_found(kind: Literal["add", "update"]) -> None:
    """The first answer was lost in a silence of the log; its events reach the graph while the client asks again."""
    log, graph = Log(), CatchingUp()
    commands = Commands(log, graph, SlowView(), SlowView())  # type: ignore[arg-type]

    async def stage(staging: Staging) -> dict[str, Any]:
        await staging.apply([EntityChange(NOTE, kind, set={"text": "x"})])
        return {}

    graph.known = KnownTransaction("asked", Revision("e", 6), {"first": "answer"})
    outcome = await commands.transact(WriteRequest("person:owner", "0" * 32, keyed=True, request="asked"), stage)
    assert outcome.repeated and outcome.result == {"first": "answer"} and not log.appended
