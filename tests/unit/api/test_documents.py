"""Documents are parsed and validated once, and a hostile one costs little."""

from __future__ import annotations

import time

import pytest
from graphql import build_schema

from core.graph.api.document import Documents
from core.graph.api.errors import BadRequest
from core.graph.api.request_limits import ApiLimits
from pcloud.errors import Rejected

SCHEMA = build_schema("type Query { a: A b: Int } type A { a: A b(n: Int): Int }")


async def test_a_known_document_is_not_read_again() -> None:
    documents = Documents(ApiLimits(cached=2))
    first = await documents.get(1, SCHEMA, "{ b }")
    assert await documents.get(1, SCHEMA, "{ b }") is first
    assert await documents.get(2, SCHEMA, "{ b }") is not first, "another schema"
    await documents.get(1, SCHEMA, "{ a { b } }")
    assert await documents.get(1, SCHEMA, "{ b }") is not first, "the least recently used one is dropped"


HOSTILE = [
    "{ a { " + "b " * 1_900 + "} }",
    "{ a { " + "... { b } " * 900 + "} }",
    "{ a { " + " ".join(f"...F{n}" for n in range(300)) + " } } " + " ".join(f"fragment F{n} on A {{ b a {{ b }} }}" for n in range(300)),
    "{ a { ...F0 } } " + " ".join(f"fragment F{n} on A {{ b ...F{n + 1} ...F{n + 1} }}" for n in range(60)) + " fragment F60 on A { b }",
    "{ a { ...F0 } } " + " ".join(f"fragment F{n} on A {{ ...F{n + 1} }}" for n in range(1500)) + " fragment F1500 on A { b }",
    "{" * 9_000,
    "{ a " * 900 + "{ b }" + "}" * 900,
    '{ a { b(n: "' + "x" * 200_000 + '") } }',
    "{ a { b(n: " + "[" * 5_000 + "]" * 5_000 + ") } }",
    "query(" + " ".join(f"$v{n}: Int" for n in range(3_000)) + ") { b }",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_document_is_answered_within_a_second_of_cpu(text: str) -> None:
    documents = Documents(ApiLimits())
    start = time.process_time()
    try:
        await documents.get(1, SCHEMA, text)
    except (Rejected, BadRequest) as error:
        assert len(str(error)) < 4_000
    assert time.process_time() - start < 1.0
