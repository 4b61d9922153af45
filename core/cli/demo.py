"""`pcloud demo`: the whole story on a throw-away folder.

A node is started, the five bundled apps are installed, a phone is paired, photographs are put into S3 with its keys, and what came of
them is shown: images, faces, search hits, the gallery.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.cli.app import packed
from core.cli.client import Client, open_client
from core.cli.terminal import console, print_json, run
from pcloud.errors import Rejected, Unavailable

__all__ = ["APPS", "demo"]

ROOT = Path(__file__).parent.parent.parent
APPS = ("object-store", "image-importer", "face-detector", "photos", "random-puppy")
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"})
SEARCHES = ("astronaut", "cat", "coffee")
BROKEN = "broken-on-purpose.jpg"
START_SECONDS = 60
SETTLE_SECONDS = 600
MOST_PHOTOS = 10_000
PROGRESS = """query { runs(first: 1000) aggregateImageImporter_Image { count } aggregateFaceDetector_ImageSegment { count } }"""


def demo(
    photos: Annotated[list[Path] | None, typer.Argument(help="Photographs or folders of them; by default a few that come along.", exists=True)] = None,
    leave: Annotated[bool, typer.Option("--exit", help="End when the story is told instead of serving until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    listen: Annotated[str, typer.Option(help="HOST:PORT of the web address; port 0 takes a free one.")] = "127.0.0.1:0",
) -> None:
    """Photographs in; faces, search and a gallery out, on a throw-away folder."""
    files = photographs(photos or [ROOT / ".setup" / "photos"])
    run(tell(files, own=bool(photos), leave=leave, as_json=as_json, listen=listen))


def photographs(places: list[Path]) -> list[Path]:
    """All pictures below the places, by their endings; raises `Rejected` where there are none or too many."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [path for path in inside if path.suffix.lower() in ENDINGS and path.is_file()]
    if not found:
        raise Rejected(f"there are no pictures in {', '.join(map(str, places))}: name a folder with {', '.join(sorted(ENDINGS))} files")
    if len(found) > MOST_PHOTOS:
        raise Rejected(f"{len(found):,} pictures are more than a demo takes ({MOST_PHOTOS:,}): name a smaller folder")
    return found


async def tell(files: list[Path], *, own: bool, leave: bool, as_json: bool, listen: str) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pcloud-demo-", ignore_cleanup_errors=True) as folder:
        async with running_node(Path(folder), listen) as node, open_client(Path(folder)) as client:
            facts = await story(client, files, own=own)
            facts["seconds"] = round(time.monotonic() - began, 1)
            link = (await client.ask("POST", "/signin-link"))["link"]
            show(facts, link)
            if as_json:
                print_json_line(facts)
            if not leave:
                console.print("\nServing until Ctrl-C …")
                await node.wait()


async def story(client: Client, files: list[Path], *, own: bool) -> dict[str, Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        installing = progress.add_task("installing the apps", total=len(APPS))
        for name in APPS:
            progress.update(installing, description=f"installing {name}")
            archive = await asyncio.to_thread(packed, ROOT / "apps" / name)
            async for _ in client.lines("POST", "/apps?approve=all", data=archive):
                pass
            progress.advance(installing)
        progress.update(installing, description="five apps are installed")
        paired = await client.ask("POST", "/devices", json_body={"name": "demo phone"})
        broken = 0 if own else 1
        uploading = progress.add_task("uploading by S3", total=len(files) + broken)
        await upload(paired["s3"], files, broken=bool(broken), advance=lambda: progress.advance(uploading))
        images = progress.add_task("photographs become images", total=len(files))
        runs = await settle(client, len(files) + broken, lambda done: progress.update(images, completed=min(done, len(files))))
    return await outcome(client, len(files), runs)
