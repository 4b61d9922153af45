"""`app.objects` against a store over HTTP."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pcloud.errors import NotFound, Rejected, Unavailable
from pcloud.objects import Objects


class Store:
    """An object store by addresses that it hands out, and the app that may ask it for them."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.held = dict[str, bytes]()
        self.types = dict[str, str]()
        self.status = 200
        self.address = ""
        self.breaks = False

    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> dict[str, str]:
        assert arguments and target.startswith("role:object-storage/")
        return {"url": f"{self.address}/{arguments['bucket']}/{arguments['key']}"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        place = request.path[1:]
        if request.method == "PUT":
            self.held[place], self.types[place] = await request.read(), request.content_type
            return web.Response()
        if place not in self.held:
            return web.Response(status=404)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)  # chunked: the size is not told beforehand
        await response.write(self.held[place])
        if self.breaks and request.transport:
            request.transport.close()
        return response

    def files(self) -> list[Path]:
        return [path for path in self.data.rglob("*") if path.is_file()]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store, application = Store(tmp_path), web.Application()
    application.router.add_route("*", "/{path:.*}", store.answer)
    async with TestServer(application) as server:
        store.address = str(server.make_url("")).rstrip("/")
        yield store


@pytest.fixture
async def objects(store: Store) -> AsyncIterator[Objects]:
    objects = Objects(store)
    yield objects
    await objects.close()


async def test_what_was_written_is_read(store: Store, objects: Objects) -> None:
    await objects.write("bucket/a/b.txt", b"one", "text/plain")
    assert store.types == {"bucket/a/b.txt": "text/plain"}
    assert await objects.read("bucket/a/b.txt", 3) == b"one"
    async with objects.file("bucket/a/b.txt", 3) as path:
        assert path.read_bytes() == b"one"
        assert store.files() == [path]
    assert store.files() == []


async def test_an_object_above_the_bound_is_rejected(store: Store, objects: Objects) -> None:
    store.held["b/k"] = b"four"
    with pytest.raises(Rejected, match="4 bytes or more, and this app reads 3"):
        await objects.read("b/k", 3)
    with pytest.raises(Rejected, match="b/k"):
        async with objects.file("b/k", 3):
            raise AssertionError("there is a file")
    assert store.files() == []


async def test_what_a_killed_process_left_behind_goes(store: Store) -> None:
    store.held["b/k"] = b"x"
    killed = Objects(store)
    async with killed.file("b/k", 1) as left:
        after_restart = Objects(store)
        async with after_restart.file("b/k", 1) as path:
            assert store.files() == [path]
            left.touch()  # so that the killed one may clean up as well
    await killed.close()
    await after_restart.close()


async def test_an_apps_own_folder_called_incoming_stays(store: Store, objects: Objects) -> None:
    own = store.data / "incoming" / "scan"
    own.parent.mkdir()
    own.touch()
    store.held["b/k"] = b"x"
    async with objects.file("b/k", 1) as path:
        assert set(store.files()) == {own, path}


@pytest.mark.parametrize("error", [TimeoutError("mine"), OSError("mine"), aiohttp.ClientError("mine")])
async def test_an_error_of_the_caller_stays_the_callers(store: Store, objects: Objects, error: Exception) -> None:
    store.held["b/k"] = b"x"
    with pytest.raises(type(error), match=r"^mine$"):
        async with objects.open("b/k") as content:
            assert [chunk async for chunk in content.chunks] == [b"x"]
            raise error
    with pytest.raises(type(error), match=r"^mine$"):
        async with objects.file("b/k", 1):
            raise error


async def test_a_transfer_that_breaks_off_while_it_is_read_may_be_tried_again(store: Store, objects: Objects) -> None:
    store.held["b/k"], store.breaks = b"x", True
    with pytest.raises(Unavailable, match="b/k broke off"):
        async with objects.open("b/k") as content:
            assert [chunk async for chunk in content.chunks]


async def test_a_full_disk_is_reported_and_leaves_nothing(store: Store, objects: Objects) -> None:
    store.held["b/k"] = b"x" * 2**20
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, limits[1]))
    try:
        with pytest.raises(Unavailable, match=r"b/k can't be written .*File too large"):
            async with objects.file("b/k", 2**20):
                raise AssertionError("there is a file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.files() == []
    async with objects.file("b/k", 2**20) as path:
        assert path.stat().st_size == 2**20


async def test_a_folder_that_can_be_made_later_is_made_then(store: Store, objects: Objects, tmp_path: Path) -> None:
    store.held["b/k"], store.data = b"x", tmp_path / "data"
    store.data.touch()
    with pytest.raises(Unavailable, match="Not a directory"):
        async with objects.file("b/k", 1):
            raise AssertionError("there is a file")
    store.data.unlink()
    async with objects.file("b/k", 1) as path:
        assert path.read_bytes() == b"x"


async def test_a_missing_object_is_not_found(objects: Objects) -> None:
    with pytest.raises(NotFound, match="b/none"):
        await objects.read("b/none", 1)


@pytest.mark.parametrize("status", [403, 503])  # 403: the address has ended
async def test_a_failing_store_may_be_tried_again(store: Store, objects: Objects, status: int) -> None:
    store.held["b/k"], store.status = b"x", status
    with pytest.raises(Unavailable, match=str(status)):
        await objects.read("b/k", 1)
    store.status = 200
    assert await objects.read("b/k", 1) == b"x"


async def test_a_store_that_is_away_may_be_tried_again(store: Store, objects: Objects, unused_tcp_port: int) -> None:
    store.address = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(Unavailable, match="b/k broke off"):
        await objects.read("b/k", 1)
