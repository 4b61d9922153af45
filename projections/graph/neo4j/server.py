"""Statements and transactions on one server, each with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, LiteralString, Protocol, cast

import neo4j

from projections.graph.neo4j.connection import errors_told, open_session, run
from projections.graph.neo4j.settings import Neo4jSettings

__all__ = ["Meter", "Server"]

FETCHED = 100  # records that the server sends at once if their size is counted


class Meter(Protocol):
    """Called for each record as it arrives."""

    def arrived(self, row: list[Any]) -> None: ...


class Server:
    """The server ends what takes too long; a second timeout is for a server that does not answer at all."""

    def __init__(self, settings: Neo4jSettings, driver: neo4j.AsyncDriver) -> None:
        self._settings, self._driver = settings, driver

    async def ask(
        self, text: str, parameters: Mapping[str, Any], seconds: float | None = None, meter: Meter | None = None
    ) -> list[list[Any]]:
        seconds = seconds or self._settings.longest_seconds
        with errors_told(self._settings):
            async with asyncio.timeout(seconds + self._settings.connect_seconds):
                size = -1 if meter is None else FETCHED
                async with open_session(
                    self._driver, fetch_size=size, default_access_mode=neo4j.READ_ACCESS
                ) as session:
                    query = neo4j.Query(cast(LiteralString, text), timeout=seconds)
                    result = await session.run(query, dict(parameters))
                    if meter is None:
                        return await result.values()
                    records: list[list[Any]] = []
                    async for record in result:
                        records.append(record.values())
                        meter.arrived(records[-1][0])
                    return records

    async def write(self, text: str, parameters: Mapping[str, Any]) -> None:
        async with self.transaction(write=True) as tx:
            await run(tx, text, dict(parameters))
            await tx.commit()

    @contextlib.asynccontextmanager
    async def transaction(self, *, write: bool) -> AsyncGenerator[neo4j.AsyncTransaction]:
        """Rolled back unless it is committed in the block."""
        seconds = self._settings.lease_seconds if write else self._settings.patient_seconds
        with errors_told(self._settings):
            async with (
                asyncio.timeout(seconds + self._settings.connect_seconds),
                open_session(
                    self._driver, default_access_mode=neo4j.WRITE_ACCESS if write else neo4j.READ_ACCESS
                ) as session,
                await session.begin_transaction(timeout=seconds) as tx,
            ):
                yield tx
