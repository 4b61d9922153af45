"""`pcloud demo`: a tour on a temporary folder.

It starts a node, installs the five bundled apps, pairs a phone, uploads photographs by S3 with its keys, and shows the result: images,
faces, search hits, the gallery.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from core.cli.client import Client, open_client
from core.cli.demo_node import running_node
from core.cli.fetch import fetch_app, fetch_photographs
from core.cli.gallery_visit import visit_gallery
from core.cli.terminal import FilesOption, console, plain, run
from pcloud.errors import Rejected, Unavailable

__all__ = ["APPS", "demo"]

APPS = ("object-store", "image-importer", "face-detector", "photos", "random-puppy")
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"})
SEARCHES = ("astronaut", "cat", "coffee")
# The runs of an image besides its import: finding faces, making thumbnails.
RUNS_PER_IMAGE = 2
SETTLE_SECONDS = 3600.0
MOST_PHOTOS = 10_000
UPLOADS_AT_ONCE = 4
COUNTS = "{ aggregateImageImporter_Image { count } aggregateFaceDetector_ImageSegment { count } }"
CAMERAS = """{ search(text: "", first: 1, count: ["camera"]) { facets { values { value } } } }"""
SEARCH = "query($text: String!) { search(text: $text) { total } }"


def demo(
    files: FilesOption,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(help="Photographs or folders of them; by default a few samples.", exists=True),
    ] = None,
    leave: Annotated[
        bool, typer.Option("--exit", help="Exit at the end of the tour instead of serving until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT of the web address; port 0 selects a free one.")
    ] = "127.0.0.1:0",
) -> None:
    """Show PCloud on a temporary folder: photographs in; faces, search and a gallery out."""
    for name in APPS:
        fetch_app(name, files)
    pictures = photographs(photos or [fetch_photographs(files)])
    try:
        run(tell(pictures, files, own=bool(photos), leave=leave, as_json=as_json, listen=listen))
    except asyncio.CancelledError as ended:  # by SIGTERM, which must end the node and delete its folder too
        raise typer.Exit(128 + signal.SIGTERM) from ended


def photographs(places: list[Path]) -> list[Path]:
    """Return all pictures below the places, by their endings. Raises `Rejected` if there are too many, or no pictures at all."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [path for path in inside if path.suffix.lower() in ENDINGS and path.is_file()]
    if not found:
        raise Rejected(
            f"there are no pictures in {', '.join(map(str, places))}: name a folder with {', '.join(sorted(ENDINGS))} files"
        )
    if len(found) > MOST_PHOTOS:
        raise Rejected(f"{len(found):,} pictures are more than a demo takes ({MOST_PHOTOS:,}): name a smaller folder")
    return found


async def tell(pictures: list[Path], files: Path, *, own: bool, leave: bool, as_json: bool, listen: str) -> None:
    began = time.monotonic()
    if this := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with tempfile.TemporaryDirectory(prefix="pcloud-demo-", ignore_cleanup_errors=True) as folder:
        async with (
            running_node(Path(folder) / "data", files, listen) as node,
            open_client(Path(folder) / "data") as client,
        ):
            if warning := (await client.ask("GET", "/status"))["warning"]:
                console.print(f"[bold red]{plain(warning)}[/]\n", soft_wrap=True)
            facts = await story(client, pictures, own=own)
            facts["gallery_status"] = await visit_gallery((await client.ask("POST", "/signin-link"))["link"])
            facts["seconds"] = round(time.monotonic() - began, 1)
            show(facts, node.address, (await client.ask("POST", "/signin-link"))["link"])
            if as_json:
                print(json.dumps(facts), flush=True)
            if not leave:
                console.print("\nServing until Ctrl-C …")
                await node.wait()


async def story(client: Client, pictures: list[Path], *, own: bool) -> dict[str, Any]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        await install_apps(client, progress, progress.add_task("installing the apps", total=len(APPS)))
        device = await client.ask("POST", "/devices", json_body={"name": "demo phone"})
        broken = [] if own else [("broken-on-purpose.jpg", b"\xff\xd8\xff\xe0 this is not a picture")]
        uploads = len(pictures) + len(broken)
        task = progress.add_task("uploading photographs by S3", total=uploads)
        await upload(
            device["s3"], [*((name, path) for name, path in named(pictures)), *broken], lambda: progress.advance(task)
        )
        task = progress.add_task("importing, finding faces, making thumbnails", total=uploads * (1 + RUNS_PER_IMAGE))
        await settle(client, uploads, progress, task)
    return await outcome(client, photos=len(pictures), own=own)


async def install_apps(client: Client, progress: Progress, task: TaskID) -> None:
    for name in APPS:
        progress.update(task, description=f"installing {name}")
        review = await client.ask("POST", f"/apps/review?bundled={name}")
        async for _ in client.lines("POST", f"/apps?archive={review['archive']}&approve=all"):
            pass
        progress.advance(task)
    progress.update(task, description="five apps are installed")


def named(files: list[Path]) -> list[tuple[str, Path]]:
    """Return keys for the objects: the files' names, with a number in front if a name repeats."""
    taken: set[str] = set()
    keys: list[tuple[str, Path]] = []
    for number, path in enumerate(files):
        key = path.name if path.name not in taken else f"{number}/{path.name}"
        taken.add(key)
        keys.append((key, path))
    return keys


async def upload(s3: dict[str, str], objects: list[tuple[str, Path | bytes]], advance: Callable[[], None]) -> None:
    """Put files or bytes into the device's bucket, a few at once."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        s3["bucket"], endpoint=s3["endpoint"], access_key_id=s3["access_key"], secret_access_key=s3["secret_key"], region="us-east-1",
        virtual_hosted_style_request=False, client_options={"allow_http": True},
    )  # fmt: skip
    slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def put(key: str, content: Path | bytes) -> None:
        async with slots:
            await obstore.put_async(store, key, content)
            advance()

    async with asyncio.TaskGroup() as group:
        for key, content in objects:
            group.create_task(put(key, content))


async def settle(client: Client, uploads: int, progress: Progress, task: TaskID) -> None:
    """Wait until every upload has been imported or refused, and every image's triggers have run."""
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        status = await client.ask("GET", "/status")
        images = (await client.graphql(COUNTS))["aggregateImageImporter_Image"]["count"]
        runs = status["runs"]
        ended, expected = runs["DONE"] + runs["FAILED"], uploads + RUNS_PER_IMAGE * images
        progress.update(task, completed=ended, total=max(expected, ended))
        busy = runs["NEW"] + runs["IN_PROGRESS"] + sum(view["lag"] for view in status["views"].values())
        if ended >= expected and not busy:
            return
        await asyncio.sleep(0.2)
    raise Unavailable("the photographs were not processed in time: `pcloud runs` on this node's folder shows more")


async def outcome(client: Client, *, photos: int, own: bool) -> dict[str, Any]:
    counts, status = await client.graphql(COUNTS), await client.ask("GET", "/status")
    words = SEARCHES
    if own:
        facets = (await client.graphql(CAMERAS))["search"]["facets"]
        words = tuple(value["value"] for facet in facets for value in facet["values"][:3])
    hits = {word: (await client.graphql(SEARCH, {"text": word}))["search"]["total"] for word in words}
    return {
        "photos": photos,
        "images": counts["aggregateImageImporter_Image"]["count"],
        "segments": counts["aggregateFaceDetector_ImageSegment"]["count"],
        "search": hits,
        "gallery_status": 0,
        "events": status["events"],
        "runs": {state: status["runs"][state] for state in ("DONE", "FAILED")},
    }


def show(facts: dict[str, Any], address: str, link: str) -> None:
    """Print the result of the tour."""
    gallery, page = (re.sub("^(https?://)", rf"\1{name}.", address) for name in ("photos", "console"))
    console.print(
        f"\n[bold]{facts['images']}[/] photographs, [bold]{facts['segments']}[/] faces in them, {facts['events']} events in the log"
    )
    for word, hits in facts["search"].items():
        console.print(f"  search [bold]{word}[/]: {hits} {'hit' if hits == 1 else 'hits'}")
    failed = facts["runs"]["FAILED"]
    console.print(
        f"  {facts['runs']['DONE']} runs done, {failed} failed"
        + (" (a file that is broken on purpose)" if failed == 1 else "")
    )
    console.print(f"\nSign in   {link}\nGallery   {gallery}\nConsole   {page}")
