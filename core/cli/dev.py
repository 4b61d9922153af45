"""`pcloud app dev`: runs an app from its folder, restarts it after each change, and shows what happens.

It uses a temporary node of its own, unless --data names a running one. There, the app is removed at the end.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.client import Client, open_client
from core.cli.terminal import AsJson, console, facts, plain, print_json, run
from pcloud.errors import Conflict, Forbidden, NotFound, PCloudError, Unavailable
from pcloud.local_node import LocalNode, local_node
from pcloud.manifest import Manifest
from pcloud.packing import packed_files, packed_folder

if TYPE_CHECKING:
    from core.cli.follow import Follower

__all__ = ["dev"]

LOG_LINES = 20
POLL = 0.25  # seconds between two looks at the files
COLOURS = {"error": "red", "event": "cyan", "run": "green", "reload": "yellow", "log": "dim"}

Say = Callable[..., None]


def dev(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The app's folder.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of a running node; by default a temporary one is started.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the app installed on the node of --data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run an app, again after each change, and show its events, runs and log lines until Ctrl-C."""
    say = json_lines if as_json else terminal_lines
    # Also while its node starts and stops: a node that is left alone would run on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with nullcontext(None) if data else local_node() as node:
        if node:
            say("node", f"{node.address}  sign a browser in: {node.link}", address=node.address, data=str(node.data))
        try:
            run(until_stopped(work(folder, data, node, keep, say)))
        except Unavailable as error:
            if node is None:
                raise
            # Its folder is deleted now, so the end of its log is shown here.
            last = "\n".join(node.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise Unavailable(f"the node of `pcloud app dev` has ended; the end of its log:\n{last}") from error
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # it is ending already


def terminal_lines(kind: str, text: str, **_: Any) -> None:
    colour = COLOURS.get(kind, "bold")
    facts.print(f"[dim]{time.strftime('%H:%M:%S')}[/] [{colour}]{kind:<6}[/] {plain(text)}")


def json_lines(kind: str, text: str, **more: Any) -> None:
    print_json({"time": time.time(), "kind": kind, "text": text, **more})


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run it until it ends, or until Ctrl-C or SIGTERM, which is a normal end."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def work(folder: Path, data: Path | None, node: LocalNode | None, keep: bool, say: Say) -> None:
    from core.cli.follow import Follower

    manifest = await asyncio.to_thread(read_manifest, folder)
    place = node.data if node else data
    assert place is not None
    async with open_client(place) as client:
        await check_new(client, manifest.name, keep)
        follower = Follower(client, place, say)
        try:
            await follower.begin(manifest)
            await keep_installed(client, folder, manifest.name, follower, say)
        finally:
            await follower.end()
            if node is None and not keep:
                with suppress(NotFound):
                    async for _ in client.lines("DELETE", f"/apps/{manifest.name}"):
                        pass
                say("remove", f"{manifest.name} is removed; what it stored is kept")


def read_manifest(folder: Path) -> Manifest:
    from core.apps import packed

    return packed(folder).manifest


async def check_new(client: Client, name: str, keep: bool) -> None:
    if not keep and any(app["name"] == name for app in await client.ask("GET", "/apps")):
        raise Conflict(
            f"{name} is installed on this node, and would be removed at the end: leave out --data, or add --keep"
        )


async def keep_installed(client: Client, folder: Path, name: str, follower: Follower, say: Say) -> None:
    """Install the app, and again after each change of a file, without end. After a failure, show it and wait for the next change."""
    before: dict[str, tuple[int, int]] = {}
    unconfined = False
    while True:
        now = await asyncio.to_thread(snapshot, folder)
        if now == before:
            await asyncio.sleep(POLL)
            continue
        changed = sorted({path for path, _ in set(now.items()) ^ set(before.items())})
        say("reload", ", ".join(changed[:5]) if before else str(folder), files=changed)
        before = now
        with told(say):
            manifest = await asyncio.to_thread(read_manifest, folder)
            if manifest.name != name:
                raise Conflict(f"the app is called {manifest.name} now: start `pcloud app dev` again")
            archive = await asyncio.to_thread(packed_folder, folder)
            unconfined = await install(client, archive, say, unconfined=unconfined)
            await follower.begin(manifest)


@contextmanager
def told(say: Say) -> Generator[None]:
    try:
        yield
    except PCloudError as error:
        say("error", error.message, code=error.code)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return time and size of every file of the app; skip files that disappear meanwhile."""
    found = dict[str, tuple[int, int]]()
    try:
        for path, file in packed_files(folder):
            status = file.stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    except (OSError, PCloudError):
        return {**found, "": (0, 0)}
    return found


async def install(client: Client, archive: bytes, say: Say, *, unconfined: bool) -> bool:
    """Install the app with every grant, and with the bundled apps that it needs. Return True if it runs without a sandbox, which
    happens only on machines that have none."""
    began = time.monotonic()
    review = await client.ask("POST", "/apps/review", data=archive)
    for name in review["needed"]:
        await approve(client, await client.ask("POST", f"/apps/review?bundled={name}"), unconfined=False)
        say("needs", f"{name}, which comes with PCloud, is installed")
    try:
        await approve(client, review, unconfined=unconfined)
    except Forbidden:
        if unconfined:
            raise
        console.print("[bold yellow]![/] there is no sandbox here: the app runs with all rights of this user")
        return await install(client, archive, say, unconfined=True)
    say("ready", f"installed in {time.monotonic() - began:.1f} s", seconds=time.monotonic() - began)
    return unconfined


async def approve(client: Client, review: dict[str, Any], *, unconfined: bool) -> None:
    # Data of a known author's app is not handed over as a side effect.
    hand_over = (
        bool(review["takes_from"]) and review["takes_from"]["signer"] is None and not review["takes_from"]["bundled"]
    )
    path = f"/apps?archive={review['archive']}&approve=all&unconfined={str(unconfined).lower()}"
    path += f"&hand-over={str(hand_over).lower()}"
    async for _ in client.lines("POST", path):
        pass
