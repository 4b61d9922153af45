"""A long log of a household: photographs, the faces in them, albums; to measure the cost of folding it again.

Three events of ten make an image, five a segment of one, two change an existing entity.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

from bench.household import WORDS
from eventstore import EventStore, Transaction
from pcloud.event import Change, Event, Kind
from pcloud.subject import Ref, new_id
from projections.graph.catalog import Catalog, FieldDef, TypeDef

__all__ = ["HOUSE", "IMAGE", "SEGMENT", "write_log"]

IMAGE, SEGMENT = "house/Image", "house/Segment"
PER_TRANSACTION = 1_000
_F = FieldDef


def _type(name: str, *fields: FieldDef) -> TypeDef:
    return TypeDef(name, {one.name: one for one in fields})


HOUSE = Catalog(
    {
        IMAGE: _type(
            IMAGE,
            _F("place", "String", search=("hash",)),
            _F("mime", "String", search=("exact", "facet")),
            _F("title", "String", search=("term", "fulltext")),
            _F("camera", "String", search=("exact", "facet")),
            _F("takenAt", "DateTime", search=("day", "month", "year")),
            _F("width", "Int"),
            _F("height", "Int"),
            _F("size", "Int64"),
            _F("segments", many=True, target=SEGMENT, inverse="image", cascade=True),
        ),
        SEGMENT: _type(
            SEGMENT,
            _F("image", target=IMAGE, inverse="segments", written=True),
            _F("x", "Float"),
            _F("y", "Float"),
            _F("confidence", "Float"),
            _F("label", "String", search=("exact",)),
        ),
    }
)


def events(count: int, seed: int = 1) -> Iterator[Event]:
    """`count` events; each entity is changed at most once, so that every expected version is known."""
    chance = random.Random(seed)
    made, changed = 0, 0
    for number in range(count):
        kind = number % 10
        if kind < 3 or made == 0:
            yield Event(Ref("house", "Image", f"i{made}"), Kind.CREATED, Change(set=_image(made, chance)))
            made += 1
        elif kind < 8:
            image = f"i{chance.randrange(made)}"
            fields = {"x": chance.random(), "y": chance.random(), "confidence": 0.9, "label": f"person {number % 500}"}
            yield Event(
                Ref("house", "Segment", f"s{number}"), Kind.CREATED, Change(set=fields, link={"image": [image]})
            )
        else:
            change = Change(set={"title": f"{chance.choice(WORDS)} again"})
            yield Event(Ref("house", "Image", f"i{changed}"), Kind.UPDATED, change, -1)
            changed += 1


def _image(number: int, chance: random.Random) -> dict[str, object]:
    return {
        "place": f"images/{number}.jpg", "mime": "image/jpeg", "title": f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}",
        "camera": f"camera {number % 9}", "takenAt": f"20{number % 25:02}-0{1 + number % 9}-11T10:00:00.000Z",
        "width": 4000, "height": 3000, "size": 3_000_000 + number,
    }  # fmt: skip


async def write_log(store: EventStore, count: int) -> int:
    """Append the schema and `count` events; returns the log's last sequence."""
    declared = Event(
        Ref("core", "App", "house"), Kind.CREATED, Change(set={"name": "house", "catalog": HOUSE.to_json()})
    )
    await store.append(Transaction(new_id().replace("-", ""), (declared,), "owner"))
    versions: dict[Ref, int] = {}
    pending: dict[Ref, Event] = {}

    async def flush() -> None:
        whole = tuple(
            Event(one.ref, one.kind, one.change, versions.get(one.ref, 0) if one.expected else 0)
            for one in pending.values()
        )
        appended = await store.append(Transaction(new_id().replace("-", ""), whole, "owner"))
        versions.update(
            (one.ref, sequence)
            for one, sequence in zip(whole, appended.sequences, strict=True)
            if one.ref.type == "Image"
        )
        pending.clear()

    for event in events(count):
        if event.ref in pending or len(pending) == PER_TRANSACTION:
            await flush()
        pending[event.ref] = event
    await flush()
    await asyncio.sleep(0)
    return await store.last_sequence()
