"""The contract of a search index. Names are stored names, as in `projections.graph.contract`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pcloud.subject import Ref
from projections.checkpoint import Checkpoint

__all__ = ["FacetCount", "Hit", "Range", "SearchIndex", "SearchQuery", "SearchResult"]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers or RFC 3339 times, both ends included; None for an open end."""

    low: Any = None
    high: Any = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Words (all must match; the last one also as a prefix; from five letters on, each with one typo) and filters.

    `types`: the stored types to find, each with the stored fields that the caller may match on:
    `{"image-importer/Image": {"title"}}`. A field of a related entity is named by the path
    `face-detector/segments.label`. `facets` narrows: field → any of these values; `ranges`: field → Range. `count`: for
    which fields facet counts are wanted. A time marked by year, month or day is a facet as `takenAt_year`,
    `takenAt_month`, `takenAt_day`. An empty text matches everything.
    """

    text: str
    types: Mapping[str, frozenset[str]]
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    ranges: Mapping[str, Range] = field(default_factory=dict[str, Range])
    count: tuple[str, ...] = ()
    first: int = 50
    offset: int = 0
    order: str = ""  # '' by score; else a numeric or date field, newest first


@dataclass(frozen=True, slots=True)
class Hit:
    ref: Ref
    score: float


@dataclass(frozen=True, slots=True)
class FacetCount:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    total: int
    hits: Sequence[Hit]
    facets: Mapping[str, Sequence[FacetCount]]


class SearchIndex(Protocol):
    @property
    def checkpoint(self) -> Checkpoint: ...

    async def search(self, query: SearchQuery) -> SearchResult: ...

    async def close(self) -> None: ...
