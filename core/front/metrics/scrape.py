"""Answers a scrape with counted and looked-up metrics, in the format that the request accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from core.front.metrics.facts import Facts, gather_facts
from core.front.metrics.families import families
from core.front.metrics.measured import MeasuredNode
from core.front.metrics.meters import Meters

__all__ = ["Metrics"]


class Metrics:
    """Simultaneous scrapes are answered one after the other, so that they can't multiply the load."""

    def __init__(self, meters: Meters, node: MeasuredNode) -> None:
        self._meters, self._node = meters, node
        self._turn = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """The caller has checked that the request is authorized."""
        body, content_type = await self.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return the body and its content type. `accept`: the request's header; Prometheus' text format unless it asks for OpenMetrics."""
        async with self._turn:
            facts = await gather_facts(self._node)
        encode, content_type = choose_encoder(accept)
        return encode(Together(self._meters, facts)), content_type  # type: ignore[arg-type]


class Together:
    """Passes for a registry to the encoder."""

    def __init__(self, meters: Meters, facts: Facts) -> None:
        self._meters, self._facts = meters, facts

    def collect(self) -> Iterator[Metric]:
        yield from self._meters.collect()
        yield from families(self._facts)
