"""What is dropped when one version of a view has replaced another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projections.leftovers import Leftovers


class Shelf:
    """A shelf of names only. `meanwhile`: what others do while one is dropped."""

    def __init__(self, *names: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.there, self._meanwhile = list(names), meanwhile

    async def names(self) -> list[str]:
        return list(self.there)

    async def drop(self, name: str) -> None:
        self._meanwhile()
        self.there.remove(name)


async def test_a_version_that_is_begun_while_another_is_dropped_stays() -> None:
    kept = {"file-2"}
    server = Shelf()

    def begin() -> None:
        kept.add("server-3")
        server.there.append("server-3")

    files = Shelf("file-1", "file-2", meanwhile=begin)
    stores: dict[str, Any] = {"file": files, "server": server}
    await Leftovers(stores).drop_others(lambda: kept)
    assert (files.there, server.there) == (["file-2"], ["server-3"])


async def test_a_version_that_is_still_read_from_stays() -> None:
    files = Shelf("file-1", "file-2")
    stores: dict[str, Any] = {"file": files}
    leftovers = Leftovers(stores)
    leftovers.read.add("file-1")
    await leftovers.drop_others(lambda: {"file-2"})
    assert files.there == ["file-1", "file-2"]
