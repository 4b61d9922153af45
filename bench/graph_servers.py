"""The two servers of the GraphQL comparison, each with the same household in it: a PCloud node, and PostGraphile on PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.household import Household, image
from bench.peers.postgres import Postgres, free_port, open_postgres
from bench.peers.setup import NODE, set_up_postgraphile
from core.apps import packed
from core.cli.client import open_client
from eventstore import ConnectionSettings, EventStore, Transaction, open_store
from eventstore.settings import Credentials
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from tests.node_process import NodeProcess, wait_until

__all__ = ["SCHEMA", "GraphServer", "chosen", "fill_log", "open_pcloud", "open_postgraphile"]

BODIES = 1_000  # different requests of each kind
IMAGES, SEGMENTS = 50, 3  # images of the nested query; the third level is the person
SCALARS = "place mime title camera takenAt width height size latitude longitude"
SCHEMA = Path(__file__).parent / "apps" / "household" / "schema.graphql"
AT_ONCE = 1_000  # events in one transaction while a log is filled

Body = Mapping[str, Any]


@dataclass(frozen=True)
class GraphServer:
    """`processes`: the root processes of the server. `bodies`: by kind of request (get, nested, create)."""

    name: str
    url: str
    headers: Mapping[str, str]
    processes: tuple[int, ...]
    bodies: Mapping[str, Sequence[Body]]


def chosen(house: Household) -> tuple[list[str], list[int], list[dict[str, Any]]]:
    """The same for both: ids to get, offsets of timeline pages, images to create."""
    chance = random.Random(7)
    ids = [f"i{chance.randrange(house.images)}" for _ in range(BODIES)]
    offsets = [chance.randrange(200) for _ in range(BODIES)]
    return ids, offsets, [image(10**6 + number, chance) for number in range(BODIES)]


# --- PCloud ------------------------------------------------------------------------------------------------------------------------

OUR_GET = f"query($id: ID!) {{ getHousehold_Image(id: $id) {{ id {SCALARS} }} }}"
OUR_NESTED = f"""query($offset: Int!) {{
  queryHousehold_Image(order: [{{desc: takenAt}}], first: {IMAGES}, offset: $offset) {{
    id place title takenAt width height
    segments(first: {SEGMENTS}) {{ id x y width height confidence person {{ id name }} }}
  }}
}}"""
OUR_CREATE = (
    "mutation($input: [AddHousehold_ImageInput!]!) { addHousehold_Image(input: $input) { household_Image { id } } }"
)


@contextmanager
def open_pcloud(folder: Path, house: Household) -> Iterator[tuple[GraphServer, NodeProcess]]:
    """A whole node with everything that a home has: every view is folded, including search."""
    with NodeProcess(folder / "pcloud") as node:
        node.install_archive(packed(Path(__file__).parent / "apps" / "household").data, unconfined=True)
        asyncio.run(fill_node(node, house))
        wait_until(
            lambda: all(view["lag"] == 0 for view in node.status()["views"].values()), seconds=600, what="all views"
        )
        ids, offsets, images = chosen(house)
        bodies = {
            "get": [{"query": OUR_GET, "variables": {"id": id}} for id in ids],
            "nested": [{"query": OUR_NESTED, "variables": {"offset": offset}} for offset in offsets],
            "create": [{"query": OUR_CREATE, "variables": {"input": [one]}} for one in images],
        }
        assert node.process
        headers = {"Authorization": f"Bearer {node.token}"}
        yield GraphServer("PCloud", f"{node.address}/graphql", headers, (node.process.pid,), bodies), node


async def fill_node(node: NodeProcess, house: Household) -> None:
    """Directly onto its log, from which it folds: as if the events had come from elsewhere in the cluster."""
    async with open_client(node.data) as client:
        found = await client.ask("GET", "/nats?write=true")
    known = Credentials(found["NATS_USER"], found["NATS_PASSWORD"])
    async with open_store(ConnectionSettings(found["NATS_URL"], known)) as store:
        await fill_log(store, house)


async def fill_log(store: EventStore, house: Household) -> None:
    """People and images before the segments that name them."""
    waiting: list[Event] = []
    for event in household_events(house):
        waiting.append(event)
        if len(waiting) == AT_ONCE:
            await store.append(Transaction(new_id().replace("-", ""), tuple(waiting), "owner"))
            waiting.clear()
    if waiting:
        await store.append(Transaction(new_id().replace("-", ""), tuple(waiting), "owner"))


def household_events(house: Household) -> Iterator[Event]:
    for row in house.person_rows():
        yield _made("Person", row)
    for row in house.image_rows():
        yield _made("Image", row)
    for row in house.segment_rows():
        links = {name: [row.pop(name)] for name in ("image", "person")}
        yield _made("Segment", row, links)


def _made(type: str, row: dict[str, Any], links: Mapping[str, list[str]] | None = None) -> Event:
    id = row.pop("id")
    return Event(Ref("household", type, id), Kind.CREATED, Change(set=row, link=dict(links or {})))


# --- PostGraphile ------------------------------------------------------------------------------------------------------------------

THEIR_GET = f"query($id: String!) {{ imageByRowId(rowId: $id) {{ rowId {SCALARS} }} }}"
THEIR_NESTED = f"""query($offset: Int!) {{
  allImages(orderBy: [TAKEN_AT_DESC, PRIMARY_KEY_ASC], first: {IMAGES}, offset: $offset) {{ nodes {{
    rowId place title takenAt width height
    segments(first: {SEGMENTS}) {{ nodes {{ rowId x y width height confidence person {{ rowId name }} }} }}
  }} }}
}}"""
THEIR_CREATE = "mutation($image: ImageInput!) { createImage(input: {image: $image}) { image { rowId } } }"


@contextmanager
def open_postgraphile(house: Household) -> Iterator[GraphServer]:
    folder = set_up_postgraphile()
    with open_postgres() as server:
        source = Path(__file__).parent / "peers" / "postgraphile"
        server.psql(text=(source / "schema.sql").read_text())
        fill_postgres(server, house)
        server.psql(text=(source / "indexes.sql").read_text())
        port = free_port()
        given = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "DATABASE_URL": server.url,
            "NODE_ENV": "production",
            "GRAPHILE_ENV": "production",
        }
        process = subprocess.Popen([NODE, "serve.mjs"], cwd=folder, env=given, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            if not process.stdout.readline():
                raise RuntimeError("PostGraphile did not start")
            ids, offsets, images = chosen(house)
            bodies = {
                "get": [{"query": THEIR_GET, "variables": {"id": id}} for id in ids],
                "nested": [{"query": THEIR_NESTED, "variables": {"offset": offset}} for offset in offsets],
                "create": [
                    {"query": THEIR_CREATE, "variables": {"image": {**one, "size": str(one["size"])}}} for one in images
                ],
            }
            yield GraphServer("PostGraphile", f"http://127.0.0.1:{port}/graphql", {}, (process.pid, server.pid), bodies)
        finally:
            process.kill()
            process.wait()


def fill_postgres(server: Postgres, house: Household) -> None:
    for table, rows in (
        ("person", house.person_rows()),
        ("image", house.image_rows()),
        ("segment", house.segment_rows()),
    ):
        text = io.StringIO()
        writer = csv.writer(text)
        for row in rows:
            writer.writerow(row.values())
        server.psql("-c", f"COPY {table} FROM STDIN (FORMAT csv)", text=text.getvalue())
