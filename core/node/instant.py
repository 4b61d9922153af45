"""A copy of the node's files as they were at one instant: what `kill -9` of the whole node would have left.

nats-server and all apps are stopped while their files are copied, so the copies of all parts belong together. Files
that an app declares as append-only get a second name instead of a copy; `grown` has their sizes at that instant. The
copy is kept in the data folder, on the same file system, until the block ends; the next start removes what was left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from core.apps.tree import copy_tree, matching, remove_tree, tree_bytes
from core.apps.tree.disk_errors import reading, writing
from core.node.folder import DataFolder
from core.node.frozen import frozen
from core.work.call import Calls
from eventstore import EmbeddedServer, EventStore
from pcloud.errors import Conflict, Unavailable

__all__ = ["InstantCopies", "InstantCopy", "standing_still", "writing_processes"]

ATTEMPTS = 3
# Of an app's folder; the rest is made again from the log.
APP_FOLDERS = ("data", "keys")
APP_FILES = ("address", "ports.json", "earlier_ports.json", "user")


@dataclass(frozen=True, slots=True)
class InstantCopy:
    """`root`: the copy. `grown`: by its path below `root`, the size of each append-only file; what lies behind it was
    written later. `seconds`: how long the node stood still."""

    root: Path
    grown: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0


class InstantCopies:
    """`processes` returns the ids of nats-server and of all processes of apps. `append_only` returns the patterns of
    such files by app, relative to its data folder. `standstill` makes a block within which all of these are stopped."""

    def __init__(
        self, folder: DataFolder, processes: Callable[[], Iterable[int]],
        append_only: Callable[[], Mapping[str, Sequence[str]]],
        standstill: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ):  # fmt: skip
        self._folder, self._processes, self._append_only = folder, processes, append_only
        self._standstill = standstill
        self._turn = asyncio.Lock()

    def clear(self) -> None:
        """Remove what a killed node left."""
        remove_tree(self._folder.backup)

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[InstantCopy]:
        """Take a copy, and remove it at the end. Raises `Conflict` while there is one, `Unavailable` without room for it."""
        if self._turn.locked():
            raise Conflict("another backup of this cloud is running: wait until it is done")
        async with self._turn:
            await asyncio.to_thread(self.clear)
            try:
                yield await self._take()
            finally:
                await asyncio.to_thread(self.clear)

    async def _take(self) -> InstantCopy:
        for _ in range(ATTEMPTS):
            await asyncio.to_thread(self._check_room)
            async with self._standstill(), frozen(self._processes) as processes:
                began = time.monotonic()
                grown = await asyncio.to_thread(self._copy)
                seconds = time.monotonic() - began
                if not processes.grown():
                    return InstantCopy(self._root, grown, seconds)
            await asyncio.to_thread(self.clear)
        raise Unavailable("an app was started each time when a copy was taken: try again once the apps have settled")

    @property
    def _root(self) -> Path:
        return self._folder.backup / "copy"

    def _check_room(self) -> None:
        patterns = self._append_only()
        with reading("the node's data", self._folder.root):
            needed = tree_bytes([self._folder.nats / "jetstream", self._folder.secrets])
            for name, app in self._apps():
                needed += tree_bytes([app / part for part in APP_FOLDERS], leave_out=matching(patterns.get(name, ())))
        self._folder.disk_space.check("a copy of the node's data", needed)

    def _copy(self) -> dict[str, int]:
        grown: dict[str, int] = {}
        patterns = self._append_only()
        with writing("a copy of the node's data", self._folder.backup):
            (self._root / "nats").mkdir(parents=True, mode=0o700)
            copy_tree(self._folder.nats / "jetstream", self._root / "nats" / "jetstream")
            copy_tree(self._folder.secrets, self._root / "secrets")
            (self._root / "apps").mkdir(mode=0o700)
            for name, app in self._apps():
                grown |= self._copy_app(name, app, patterns.get(name, ()))
        return grown

    def _copy_app(self, name: str, app: Path, append_only: Sequence[str]) -> dict[str, int]:
        target = self._root / "apps" / name
        target.mkdir(mode=0o700)
        for file in APP_FILES:
            if (app / file).is_file():
                (target / file).write_bytes((app / file).read_bytes())
        copy_tree(app / "keys", target / "keys")
        linked = copy_tree(app / "data", target / "data", link=matching(append_only))
        return {f"apps/{name}/data/{path}": size for path, size in linked.items()}

    def _apps(self) -> Iterator[tuple[str, Path]]:
        """Each folder of an app, also of one that was removed and left its data."""
        for place in sorted(self._folder.apps.iterdir()):
            if place.is_dir() and not place.name.startswith(".") and (place / "data").is_dir():
                yield place.name, place


@asynccontextmanager
async def standing_still(store: EventStore, calls: Calls) -> AsyncGenerator[None]:
    """Within this block the log's server and the apps are stopped on purpose: that is neither a fault nor the time of a call."""
    async with store.stopped("the node's files are copied for a backup: PCloud goes on by itself in a moment"):
        with calls.stopped():
            yield


def writing_processes(server: EmbeddedServer, apps: Callable[[], Iterable[int]]) -> list[int]:
    """The ids of nats-server and of all processes of apps. Raises `Unavailable` while nats-server is being started: it writes
    already, and can't be stopped."""
    if (pid := server.pid) is None:
        raise Unavailable(
            "the log's server is being started, so no copy of its files can be taken: try again in a moment"
        )
    return [pid, *apps()]
