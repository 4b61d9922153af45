"""Decides which node may fold: one at a time, by a lease that is stored in the database and passes on when it expires.

The node that folds locks the projection's record first, so the lease can't change while a batch is written, and each batch
ends by writing the checkpoint under the token with which it began. If a holder was away for too long, the server ends
its transaction and its token is passed on: what it had written is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neo4j import AsyncTransaction

from pcloud.errors import Conflict
from projections.graph.neo4j.connection import run
from projections.graph.neo4j.names import Names

__all__ = ["Lease", "LeaseLost", "LeaseState"]


class LeaseLost(Conflict):
    """Another node folds now; what this one had begun to write is rolled back."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The projection's position when its record was locked; `token` 0: another node holds the lease. `shared`: other nodes
    read it too."""

    token: int
    epoch: str
    sequence: int
    shared: bool


class Lease:
    def __init__(self, names: Names, holder: str, seconds: float) -> None:
        self._holder, self._milliseconds = holder, int(seconds * 1000)
        self.token = 0
        free = "(v.expires <= timestamp() OR (v.holder = $holder AND $token IN [0, v.token]))"
        self._take = (
            f"MATCH (v:{names.view}) SET v.locked = timestamp() WITH v, {free} AS free "
            "FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END | "
            "SET v.token = CASE WHEN $token > 0 AND v.token = $token THEN v.token ELSE v.token + 1 END, v.holder = $holder) "
            "RETURN CASE WHEN free THEN v.token ELSE 0 END, v.epoch, v.sequence, coalesce(v.shared, false)"
        )
        self._write = (
            f"MATCH (v:{names.view}) WHERE v.token = $token AND v.holder = $holder "
            "SET v += $values, v.expires = timestamp() + $milliseconds RETURN count(v)"
        )
        self.peek = f"MATCH (v:{names.view}) RETURN {free}, v.sequence"
        self.release = f"MATCH (v:{names.view}) WHERE v.token = $token AND v.holder = $holder SET v.expires = 0"

    @property
    def parameters(self) -> dict[str, Any]:
        return {"holder": self._holder, "token": self.token}

    async def take(self, tx: AsyncTransaction) -> LeaseState:
        """Lock the projection's record and take the lease, if it is free."""
        record = await (await run(tx, self._take, self.parameters)).single(strict=True)
        token, epoch, sequence, shared = record.values()
        if token:
            self.token = token
        return LeaseState(token, epoch, sequence, shared)

    async def write(self, tx: AsyncTransaction, values: dict[str, Any]) -> None:
        """Write the projection's record after the batch and extend the lease; raises `LeaseLost`."""
        parameters = {**self.parameters, "values": values, "milliseconds": self._milliseconds}
        record = await (await run(tx, self._write, parameters)).single(strict=True)
        if record[0] != 1:
            raise LeaseLost("this node has lost the lease of the graph in the middle of a batch: another one folds now")
