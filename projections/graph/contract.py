"""The contract of a graph store: batches of whole transactions in, answers out.

Adapters (`sqlite/`, `neo4j/`) do not inherit from anything here; `tests/contracts` has the suite that each must pass.
All names of types and fields are stored names (`image-importer/Image`, `title`, `face-detector/faceCount`); a caller's
view is translated to them before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pcloud.errors import Rejected
from pcloud.event import StoredEvent
from pcloud.revision import Revision
from pcloud.subject import Ref
from projections.checkpoint import Checkpoint
from projections.graph.catalog import Catalog

__all__ = [
    "Aggregate",
    "Child",
    "Compare",
    "EntityState",
    "Every",
    "Filter",
    "GraphReader",
    "GraphStore",
    "Group",
    "Has",
    "HasRelated",
    "IdIn",
    "Invert",
    "KnownTransaction",
    "Order",
    "ReadBudget",
    "Select",
    "Some",
]  # fmt: skip

Operator = Literal["eq", "in", "between", "ge", "gt", "le", "lt", "anyofterms", "allofterms", "regexp"]


# --- filters ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """A scalar field against a value. `in`: a list; `between`: (low, high), both included; `anyofterms`/`allofterms`: a
    text whose words are compared case-folded; `regexp`: an RE2 pattern. A list field passes if any of its members does.
    `eq` None: has no value."""

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class IdIn:
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """The scalar field has a value, or the relation at least one entity."""

    field: str


@dataclass(frozen=True, slots=True)
class HasRelated:
    """At least one entity at the other end of the relation passes the filter."""

    field: str
    filter: Filter


@dataclass(frozen=True, slots=True)
class Every:
    """All pass (and); empty passes everything."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one passes (or); empty passes nothing."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Invert:
    filter: Filter


Filter = Compare | IdIn | Has | HasRelated | Every | Some | Invert


# --- what to fetch ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a scalar field (`id` too). MissingRanges values come last in either direction. The id breaks ties, ascending."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`count`, or min/max/sum/avg of a field, under the response key `key`."""

    key: str
    function: Literal["count", "min", "max", "sum", "avg"]
    field: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Counts by the value of a scalar field, newest/largest value first; `unit` cuts a DateTime to its UTC year, month or day
    ('2024', '2024-05', '2024-05-01'). Entities without a value are counted under None."""

    field: str
    unit: Literal["", "year", "month", "day"] = ""


@dataclass(slots=True, eq=False)
class ReadBudget:
    """The number of bytes that may still be read for one answer; all its selects share it, and the reader counts."""

    left: int

    def take(self, size: int) -> None:
        """Raises `Rejected` if that is more than is left."""
        self.left -= size
        if self.left < 0:
            raise Rejected("the answer would be too large: ask for smaller pages (`first`) or fewer fields")


@dataclass(frozen=True, slots=True)
class Select:
    """A page of entities of one type, with the requested values of each.

    `scalars`: stored field names ('id' too). `children`: relations to follow, each with its own Select (whose `type` is
    the relation's target); `first`, `offset`, `after`, `filter` and `order` there hold for each parent by itself.
    `cursor`: whether each row carries the reserved key '_cursor', an opaque string that `after` takes. `version`:
    whether it carries '_version' (int). `budget`: what may be read, with all that the children read; None for no bound.
    """

    type: str
    scalars: tuple[str, ...] = ()
    children: tuple[Child, ...] = ()
    filter: Filter | None = None
    order: tuple[Order, ...] = ()
    first: int | None = None
    offset: int = 0
    after: str | None = None
    cursor: bool = False
    version: bool = False
    budget: ReadBudget | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Child:
    """A relation of the parent: `key` is where the answer goes in the parent's row. To-one gives a row or None, to-many a list.

    With `aggregates`, the answer is one dict of them over the children that pass `select.filter` instead of the children."""

    key: str
    field: str
    select: Select
    aggregates: tuple[Aggregate, ...] = ()


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EntityState:
    """One entity as writers need it: `version` is the sequence of its last event, also of a deleted one (`exists`
    False); `fields` its scalars; `links` the ids under each *written* relation field."""

    ref: Ref
    version: int
    exists: bool
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class KnownTransaction:
    """A transaction that the projection has folded within the last `TRANSACTION_DAYS` (by event time). `time`: of its last
    event, in seconds since 1970. `forgotten`: one of its entities has been forgotten since, and its result with it."""

    request: str
    revision: Revision
    result: Mapping[str, Any]
    time: float = 0.0
    forgotten: bool = False


class GraphReader(Protocol):
    """The queries of a graph projection. Answers come from the last applied batch, never from half of one. Raises
    `pcloud.errors.Rejected` for an unknown type or field and `Unavailable` if the store is gone."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def catalog(self) -> Catalog:
        """All types as of the checkpoint, merged."""
        ...

    async def fetch(self, select: Select, *, patient: bool = False) -> list[Row]:
        """`patient`: for a projection that reads this one to fold: refusing its long query would stop that projection for good."""
        ...

    async def aggregate(self, type: str, filter: Filter | None, aggregates: Sequence[Aggregate]) -> Row: ...

    async def group(self, type: str, filter: Filter | None, by: Group, limit: int = 1000) -> list[tuple[Any, int]]: ...

    async def entities(self, refs: Sequence[Ref]) -> dict[Ref, EntityState]:
        """The entities as of the checkpoint; one that never existed has version 0. All from one snapshot."""
        ...

    async def related(self, type: str, field: str, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each parent id the ids at the other end of a relation (either end), in ascending order."""
        ...

    async def transaction(self, tx: str) -> KnownTransaction | None: ...


class GraphStore(GraphReader, Protocol):
    """A graph projection: batches in, answers out. The code that opens it closes it."""

    async def apply(self, epoch: str, events: Sequence[StoredEvent]) -> Checkpoint:
        """Fold whole transactions, in order of sequence, together with the new checkpoint, or nothing.

        Events at or below the checkpoint are ignored (duplicate delivery). Raises `Corrupt` if `epoch` differs from the
        checkpoint's. A `core/App` event that sets `catalog` changes the tables at that point of the sequence.
        """
        ...

    async def dump(self) -> Mapping[str, Any]:
        """All that was folded, in a canonical form, to compare two stores; for tests and `graph verify`. May be
        large."""
        ...

    async def close(self) -> None: ...
