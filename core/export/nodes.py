"""Writes an export's nodes into a cloud, in transactions of a few hundred, each with a key: done twice, it is done once.

A type comes after those that its relations name, so that a node is written with its relations. Where types or nodes name each other, a node
is written again with its relations once all are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from core.export.check import Header, Type, read_lines
from core.export.graph import Record

__all__ = ["Batch", "Graphql", "batches", "write_batch"]

NODES = 200
BYTES = 2**20
LINKS = 500  # of one relation in one transaction

Batch = tuple[str, list[Record]]  # a type, and inputs of its nodes


class Graphql(Protocol):
    """The part of `core.cli.client.Client` that is needed."""

    async def graphql(
        self, query: str, variables: dict[str, Any] | None = None, *, key: str = ""
    ) -> dict[str, Any]: ...


def batches(root: Path, header: Header) -> Iterator[Batch]:
    """Yield all transactions, always the same, in the order in which they must be written."""
    order = _order(header.types)
    done: set[str] = set()
    for name in order:
        yield from _cut(name, _inputs(root, header, name, done))
        done.add(name)
    for number, name in enumerate(order):
        later = set(order[number:])  # what pass one did not have yet
        if any(field.target in later for field in header.types[name].fields.values()):
            yield from _cut(name, _inputs(root, header, name, done, naming=later))


async def write_batch(node: Graphql, batch: Batch, key: str) -> None:
    name, inputs = batch
    mutation = f"mutation($input: [Add{name}Input!]!) {{ add{name}(input: $input, upsert: true) {{ count }} }}"
    await node.graphql(mutation, {"input": inputs}, key=key)


def _order(types: Mapping[str, Type]) -> list[str]:
    """Each type after those that it names, as far as they do not name each other."""
    order: dict[str, None] = {}

    def visit(name: str, way: frozenset[str]) -> None:
        if name in order or name in way:
            return
        for field in types[name].fields.values():
            if field.target in types:
                visit(field.target, way | {name})
        order[name] = None

    for name in types:
        visit(name, frozenset())
    return list(order)


def _inputs(
    root: Path, header: Header, name: str, done: set[str], *, naming: set[str] | None = None
) -> Iterator[Record]:
    """Yield the inputs of a type's nodes, with their relations to the types that are done; with `naming`, only of nodes that name these."""
    type_ = header.types[name]
    for _, node in read_lines(root / f"graph/{name}.jsonl"):
        relations = {field: ids for field, ids in node["relations"].items() if type_.fields[field].target in done}
        if naming is not None and not any(type_.fields[field].target in naming for field in relations):
            continue
        identity = {} if type_.id else {"id": node["id"]}
        yield from _parts({**identity, **node["fields"]}, type_, relations, header)


def _parts(fields: Record, type_: Type, relations: Mapping[str, list[str]], header: Header) -> Iterator[Record]:
    """A node with very many links is several inputs: each adds some."""
    longest = max((len(ids) for ids in relations.values()), default=0)
    for first in range(0, max(longest, 1), LINKS):
        links: Record = {}
        for name, ids in relations.items():
            field = type_.fields[name]
            target = header.types[field.target]
            some = ids[first : first + LINKS] if field.many else ids[:1]
            named = [{target.id or "id": _value(id, target)} for id in some]
            if named:
                links[name] = named if field.many else named[0]
        yield {**fields, **links}


def _value(id: str, target: Type) -> str | int:
    """An `@id` field is a text or a number."""
    return int(id) if target.id and target.fields[target.id].kind == "Int" else id


def _cut(name: str, inputs: Iterator[Record]) -> Iterator[Batch]:
    """Cut into transactions of bounded size."""
    batch: list[Record] = []
    size = links = 0
    for one in inputs:
        length = len(json.dumps(one))
        more = sum(len(cast("list[Any]", value)) for value in one.values() if isinstance(value, list))
        if batch and (len(batch) == NODES or size + length > BYTES or links + more > LINKS):
            yield name, batch
            batch, size, links = [], 0, 0
        batch.append(one)
        size, links = size + length, links + more
    if batch:
        yield name, batch
