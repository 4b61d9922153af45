"""The API on a real nats-server, a real SQLite graph and a real search index, with two apps' schemas installed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.access.caller import Caller
from core.graph.api import Api, ApiLimits, PlatformFields, Sources
from core.graph.command import Commands, EntityChange
from core.graph.schema import ViewRegistry, parse_schema
from eventstore import ConnectionSettings, EventStore, ServerSettings, open_server, open_store
from pcloud.manifest import Manifest
from pcloud.subject import Ref
from projections.directory import Grant
from projections.graph.catalog import merge
from projections.graph.sqlite import SqliteGraph
from projections.loop import ProjectionLoop
from projections.search.tantivy import open_tantivy_search
from tests.views import SmallViews, open_small_views

OWNER = Caller("person", "owner")

IMPORTER = """
enum Source { PHONE CAMERA }
"A photograph."
type Image {
  place: String! @search(by: [hash])
  sha256: String! @id
  mime: String! @search(by: [exact, facet])
  title: String @search(by: [term, fulltext, regexp])
  camera: String @search(by: [exact, term, facet])
  takenAt: DateTime @search(by: [day, month, year])
  width: Int! @search(by: [int])
  size: Int64 @search(by: [int64])
  latitude: Float @search(by: [float])
  hidden: Boolean! @default(value: false) @search(by: [bool])
  source: Source @default(value: PHONE) @search(by: [hash])
  keywords: [String!] @search(by: [exact])
  albums: [Album!] @hasInverse(field: images)
}
type Album {
  name: String! @search(by: [exact, term])
  images: [Image!] @hasInverse(field: albums)
  cover: Image
}
"""
DETECTOR = """
type ImageSegment {
  image: Image! @hasInverse(field: segments)
  x: Float!
  label: String @search(by: [term, exact])
}
extend type Image @from(app: "image-importer") {
  segments: [ImageSegment!] @hasInverse(field: image, onDelete: CASCADE)
  faceCount: Int @search(by: [int, facet])
}
"""


class Failed(AssertionError):
    def __init__(self, errors: list[dict[str, Any]], data: Any) -> None:
        super().__init__(json.dumps(errors))
        self.errors, self.data = errors, data

    @property
    def code(self) -> str:
        return self.errors[0]["extensions"]["code"]

    @property
    def message(self) -> str:
        return self.errors[0]["message"]


@dataclass
class Cloud:
    """`ask` as the owner or as an app; returns the data, raises `Failed`."""

    store: EventStore
    small: SmallViews
    search_loop: ProjectionLoop[Any]
    views: ViewRegistry
    commands: Commands
    api: Api
    revision: str = ""
    status: int = 0

    @property
    def graph(self) -> SqliteGraph:
        return self.small.graph

    @property
    def loop(self) -> ProjectionLoop[Any]:
        return self.small.folding

    def commands_on(self, log: Any) -> Commands:
        """Other commands on the same views, which write to `log`."""
        return Commands(log, self.small.answers, self.small.loop, self.small.directory_loop)

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        by: Caller | str = OWNER,
        headers: Mapping[str, str] | None = None,
        operation: str | None = None,
    ) -> Any:
        caller = Caller("app", by) if isinstance(by, str) else by
        body = {"query": query, "variables": dict(variables or {}), "operationName": operation}
        self.status, raw, answer_headers = await self.api.execute(caller, body, dict(headers or {}))
        answer = json.loads(raw)
        self.revision = answer_headers.get("Pcloud-Revision", self.revision)
        if "errors" in answer:
            raise Failed(answer["errors"], answer.get("data"))
        return answer["data"]

    async def fails(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Failed:
        try:
            data = await self.ask(query, variables, **more)
        except Failed as failed:
            return failed
        raise AssertionError(f"answered {data}")

    async def install(self, app: str, schema: str, grants: Sequence[Grant] = ()) -> None:
        catalog = parse_schema(app, schema, others=self.small.answers.catalog) if schema else None
        manifest = msgspec.json.encode(Manifest(name=app, version="1")).decode()
        fields: dict[str, Any] = {"name": app, "version": "1", "state": "RUNNING", "manifest": manifest}
        if catalog is not None:
            fields["catalog"] = catalog.to_json()
        changes = [EntityChange(Ref("core", "App", app), "upsert", set=fields)]
        for number, grant in enumerate(grants):
            values = {
                "app": grant.app, "verb": grant.verb, "target": grant.target, "fields": list(grant.fields),
                "alias": grant.as_ or None, "state": grant.state,
            }  # fmt: skip
            changes.append(EntityChange(Ref("core", "Grant", f"{app}-{number}"), "upsert", set=values))
        revision = await self.commands.write("owner", changes)
        await self.loop.wait_for(revision.sequence)

    async def last(self) -> int:
        return await self.store.last_sequence()


def grant(app: str, verb: Any, target: str, *fields: str, as_: str = "", state: Any = "approved") -> Grant:
    return Grant(app, verb, target, fields, as_=as_, state=state)


@asynccontextmanager
async def open_cloud(
    folder: Path, platform: Sequence[PlatformFields] = (), limits: ApiLimits | None = None
) -> AsyncIterator[Cloud]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_server(ServerSettings(folder / "nats")))
        store = await stack.enter_async_context(open_store(ConnectionSettings(server.url, server.core)))
        small = await stack.enter_async_context(open_small_views(store, folder / "graph.db"))
        search = await open_tantivy_search(folder / "search", small.answers)
        stack.push_async_callback(search.close)
        search_loop: ProjectionLoop[Any] = ProjectionLoop(store, search, gather=0.2, behind=small.folding)
        task = asyncio.create_task(search_loop.run())

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(stop)
        views = ViewRegistry(small.directory)
        stack.callback(views.close)
        commands = Commands(store, small.answers, small.loop, small.directory_loop)
        api = Api(
            Sources(store, small.answers, small.loop, small.directory_loop, search, search_loop),
            views, commands, platform, limits,
        )  # fmt: skip
        stack.push_async_callback(api.close)
        yield Cloud(store, small, search_loop, views, commands, api)


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with open_cloud(tmp_path) as cloud:
        yield cloud


@pytest.fixture
async def cloud(empty: Cloud) -> Cloud:
    """With image-importer, face-detector (which extends Image), and photos (which may read them)."""
    await empty.install("image-importer", IMPORTER)
    await empty.install(
        "face-detector",
        DETECTOR,
        [
            grant("face-detector", "read", "image-importer/Image"),
            grant("face-detector", "extend", "image-importer/Image"),
        ],
    )
    await empty.install(
        "photos",
        "",
        [
            grant("photos", "read", "image-importer/Image", "face-detector/segments"),
            grant("photos", "read", "face-detector/ImageSegment"),
        ],
    )
    assert merge([empty.graph.catalog]).types.keys() >= {"image-importer/Image", "face-detector/ImageSegment"}
    return empty


ADD = """
mutation($input: [AddImageInput!]!, $upsert: Boolean) {
  addImage(input: $input, upsert: $upsert) { count image { id sha256 title } }
}
"""


@pytest.fixture
def image() -> Any:
    """`image(3)`: the input of an Image whose values derive from its number."""

    def make(number: int, **more: Any) -> dict[str, Any]:
        return {
            "place": f"images/{number}.jpg", "sha256": f"{number:064d}", "mime": "image/jpeg", "title": f"picture {number}",
            "width": 100 + number, "takenAt": f"2024-0{1 + number % 9}-01T10:00:00+02:00", **more,
        }  # fmt: skip

    return make
