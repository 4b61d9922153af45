"""Uploads: how soon a picture is found by search, and how fast many pass, against the bare detector called in a loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from bench.figures import Figure
from bench.pictures import photographs
from core.cli.demo import upload
from tests.node_process import NodeProcess

__all__ = ["measure_ingest", "measure_upload"]

UPLOADS = 15
PHOTOS = 200
LIMIT = 600.0
SEARCH = "query($text: String!) { search(text: $text) { total } }"
FACES = "{ aggregateImageImporter_Image(filter: { has: [faceDetector_faceCount] }) { count } }"
LOOP = Path(__file__).parent / "bare_detector.py"

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def measure_upload(node: NodeProcess, s3: dict[str, str]) -> Figure:
    """Seconds from the start of the upload to the first search that finds it; one at a time."""
    pictures = photographs(UPLOADS + 1, seed=1)
    seconds = asyncio.run(with_session(node, lambda ask: upload_one_by_one(ask, s3, pictures)))
    return Figure("2-megapixel upload, to its being searchable", "s", tuple(seconds[1:]), bound=1)


async def upload_one_by_one(ask: Ask, s3: dict[str, str], pictures: list[tuple[str, bytes]]) -> list[float]:
    seconds: list[float] = []
    for title, data in pictures:
        began = time.perf_counter()
        await upload(s3, [(f"{title}.jpg", data)], lambda: None)
        while not (await ask(SEARCH, {"text": title}))["search"]["total"]:
            await asyncio.sleep(0.005)
            assert time.perf_counter() - began < LIMIT, f"{title} was never found"
        seconds.append(time.perf_counter() - began)
    return seconds


def measure_ingest(node: NodeProcess, s3: dict[str, str]) -> list[Figure]:
    """Photographs per second until each has its faces counted, and of the detector alone: in one loop, and in one on
    each core.

    The whole pipeline stores, imports, shrinks, indexes and finds faces; the loop only finds faces.
    """
    pictures = photographs(PHOTOS, seed=2)
    one, all_cores = bare_rate(pictures, 1), bare_rate(pictures, os.cpu_count() or 1)
    whole = asyncio.run(with_session(node, lambda ask: ingest(ask, s3, pictures)))
    return [
        Figure("bare detector, one loop", "photos/s", (one,)),
        Figure("bare detector, a loop on each core", "photos/s", (all_cores,)),
        Figure(f"ingest of {PHOTOS} photographs", "photos/s", (whole,)),
        Figure("ingest, of the speed of one bare loop", "%", (100 * whole / one,), bound=70, least=True),
        Figure("ingest, of the speed of a bare loop on each core", "%", (100 * whole / all_cores,)),
    ]


async def ingest(ask: Ask, s3: dict[str, str], pictures: list[tuple[str, bytes]]) -> float:
    before = (await ask(FACES, {}))["aggregateImageImporter_Image"]["count"]
    began = time.perf_counter()
    await upload(s3, [(f"many/{title}.jpg", data) for title, data in pictures], lambda: None)
    while (await ask(FACES, {}))["aggregateImageImporter_Image"]["count"] - before < len(pictures):
        await asyncio.sleep(0.05)
        assert time.perf_counter() - began < LIMIT, "not every photograph got its faces counted"
    return len(pictures) / (time.perf_counter() - began)


def bare_rate(pictures: list[tuple[str, bytes]], loops: int) -> float:
    """The face detector's own code on the same files, in `loops` processes at once, without PCloud."""
    with tempfile.TemporaryDirectory() as folder:
        for title, data in pictures:
            (Path(folder) / f"{title}.jpg").write_bytes(data)
        files = sorted(str(path) for path in Path(folder).iterdir())
        began = time.perf_counter()
        running = [subprocess.Popen([sys.executable, str(LOOP), *files[loop::loops]]) for loop in range(loops)]
        assert all(process.wait(LIMIT) == 0 for process in running), "the bare detector failed"
        return len(files) / (time.perf_counter() - began)


async def with_session(node: NodeProcess, work: Callable[[Ask], Awaitable[Any]]) -> Any:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {node.token}"}) as session:

        async def ask(query: str, variables: dict[str, Any]) -> dict[str, Any]:
            async with session.post(f"{node.address}/graphql", json={"query": query, "variables": variables}) as answer:
                return (await answer.json())["data"]

        return await work(ask)
