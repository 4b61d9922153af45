"""The import of an object against a graph in memory and a store over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from image_importer.importer import Importer, NewObject
from image_importer.settings import Settings

from pcloud.errors import Rejected, Unavailable
from pcloud.objects import Objects

FACTS = {"mime": "image/jpeg", "width": 4, "height": 3, "title": "t"}


class MemoryGraph:
    """The part of the API that the importer uses; `mutations` counts the transactions."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.mutations = 0

    async def query(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        wanted = [
            {"id": id, "sha256": image["sha256"], "places": image["places"]}
            for id, image in self.images.items()
            if image["sha256"] == variables["sha256"] or variables["place"] in image["places"]
        ]
        return {"queryImage": wanted}

    async def mutate(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.mutations += 1
        assert set(re.findall(r"\$(\w+):", document)) == set(variables)
        answer: dict[str, Any] = {}
        for name, value in variables.items():
            if name == "addImage":
                id = f"id-{value['sha256'][:6]}"
                self.images[id] = value
                answer[name] = {"image": [{"id": id}]}
            elif name == "gone":
                for id in value:
                    del self.images[id]
            else:
                self.images[value["filter"]["id"][0]].update(value["set"])
        return answer


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = self.objects.get(request.path[1:])
        if body is None:
            return web.Response(status=404)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)  # chunked: the size is not sent beforehand
        await response.write(body)
        return response


@pytest.fixture
async def store() -> AsyncIterator[tuple[Store, TestServer]]:
    store, application = Store(), web.Application()
    application.router.add_get("/{path:.*}", store.answer)
    async with TestServer(application) as server:
        yield store, server


class Fixture:
    def __init__(self, store: Store, server: TestServer, folder: Path, **settings: Any) -> None:
        self.store, self.graph, self.server, self.data = store, MemoryGraph(), server, folder
        self.objects = Objects(self)

        async def inspect(path: Path, key: str) -> Any:
            if path.read_bytes().startswith(b"bad"):
                raise Rejected("the picture is broken")
            return ["no", "facts"] if path.read_bytes() == b"hostile" else dict(FACTS)

        self.importer = Importer(Settings(**settings), self.graph, self.objects, inspect=inspect)

    async def call(self, target: str, arguments: Mapping[str, Any] | None = None, /) -> dict[str, str]:
        assert arguments and target == "role:object-storage/get-object"
        return {"url": str(self.server.make_url(f"/{arguments['bucket']}/{arguments['key']}"))}

    def files(self) -> list[Path]:
        return [path for path in self.data.rglob("*") if path.is_file()]

    async def put(self, key: str, body: bytes, **told: Any) -> dict[str, Any]:
        self.store.objects[f"images/{key}"] = body
        return await self.importer.import_object(NewObject("images", key, **told))


@pytest.fixture
async def fixture(store: tuple[Store, TestServer], tmp_path: Path) -> AsyncIterator[Fixture]:
    fixture = Fixture(*store, tmp_path, bytes=1000)
    yield fixture
    await fixture.objects.close()


async def test_an_object_becomes_an_image(fixture: Fixture) -> None:
    answer = await fixture.put("a.jpg", b"one", modified="2024-05-01T10:00:00.000Z")
    image = fixture.graph.images[answer["image"]]
    assert image["place"] == "images/a.jpg"
    assert (image["size"], image["importedAt"]) == (3, "2024-05-01T10:00:00.000Z")
    assert image["sha256"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert fixture.files() == []


async def test_facts_that_make_no_sense_are_the_files_fault(fixture: Fixture) -> None:
    with pytest.raises(Rejected, match="they are list"):
        await fixture.put("a.jpg", b"hostile")
    assert fixture.graph.images == {}


async def test_the_same_object_again_writes_nothing(fixture: Fixture) -> None:
    first = await fixture.put("a.jpg", b"one")
    assert await fixture.put("a.jpg", b"one") == first
    assert fixture.graph.mutations == 1


async def test_the_same_bytes_under_another_key_are_the_same_image(fixture: Fixture) -> None:
    first = await fixture.put("a.jpg", b"one")
    assert await fixture.put("b.jpg", b"one") == first
    assert fixture.graph.images[first["image"]]["places"] == ["images/a.jpg", "images/b.jpg"]
    assert fixture.graph.images[first["image"]]["place"] == "images/b.jpg"


async def test_an_overwritten_object_replaces_its_image_in_one_mutation(fixture: Fixture) -> None:
    await fixture.put("a.jpg", b"one")
    second = await fixture.put("a.jpg", b"two")
    assert list(fixture.graph.images) == [second["image"]]
    assert fixture.graph.mutations == 2


async def test_a_broken_picture_leaves_nothing_and_stops_nothing(fixture: Fixture) -> None:
    with pytest.raises(Rejected, match="broken"):
        await fixture.put("a.jpg", b"bad")
    assert await fixture.put("b.jpg", b"good")
    assert len(fixture.graph.images) == 1
    assert fixture.files() == []


async def test_a_deleted_object_leaves_nothing(fixture: Fixture) -> None:
    answer = await fixture.importer.import_object(NewObject("images", "gone.jpg"))
    assert answer["image"] is None
    assert fixture.graph.mutations == 0


async def test_a_folder_s_placeholder_is_not_imported(fixture: Fixture) -> None:
    assert (await fixture.put("2024/", b""))["image"] is None


@pytest.mark.parametrize("told", [0, 1001])
async def test_an_object_above_the_bound_is_rejected(fixture: Fixture, told: int) -> None:
    with pytest.raises(Rejected, match="bytes"):
        await fixture.put("a.jpg", b"x" * 1001, size=told)


@pytest.mark.parametrize("status", [403, 503])  # 403: the address has ended
async def test_a_failing_store_is_tried_again(fixture: Fixture, status: int) -> None:
    working, fixture.store.status = fixture.store.status, status
    with pytest.raises(Unavailable, match=str(status)):
        await fixture.put("a.jpg", b"one")
    fixture.store.status = working
    assert (await fixture.put("a.jpg", b"one"))["image"]
