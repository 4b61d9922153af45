"""The protocols of the node that a scrape reads.

`core.node.node.Node` is one; it is made above this wing, so only its shape is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.access.audit import Audit
from core.access.quota import Quotas
from core.apps import Apps
from eventstore import EmbeddedServer, EventStore
from projections.checkpoint import Checkpoint

__all__ = ["MeasuredLoop", "MeasuredNode"]


class MeasuredLoop(Protocol):
    """A loop that keeps a projection; it says how far it is."""

    @property
    def checkpoint(self) -> Checkpoint: ...


class RunCounts(Protocol):
    """The runs projection."""

    @property
    def tally(self) -> Mapping[tuple[str, str], int]: ...


class Graphs(Protocol):
    """Where the apps' types are. `problem`: why they can't be asked now, '' when they can."""

    @property
    def problem(self) -> str: ...


class MeasuredProjections(Protocol):
    """The projections, with the loops that keep them."""

    @property
    def runs(self) -> RunCounts: ...
    @property
    def graphs(self) -> Graphs: ...
    @property
    def directory_loop(self) -> MeasuredLoop: ...
    @property
    def graph_loop(self) -> MeasuredLoop: ...
    @property
    def search_loop(self) -> MeasuredLoop: ...
    @property
    def runs_loop(self) -> MeasuredLoop: ...


class Disk(Protocol):
    """The node's folder."""

    def usage(self) -> tuple[int, int]:
        """Free and all bytes of its disk."""
        ...


class MeasuredNode(Protocol):
    """What the metrics are taken of. `problem`: why it takes no writes, '' when it does."""

    @property
    def problem(self) -> str: ...
    @property
    def folder(self) -> Disk: ...
    @property
    def server(self) -> EmbeddedServer: ...
    @property
    def store(self) -> EventStore: ...
    @property
    def projections(self) -> MeasuredProjections: ...
    @property
    def apps(self) -> Apps: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def quotas(self) -> Quotas: ...
