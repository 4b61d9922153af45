"""The graph embedded: one SQLite file per node, a table per type."""

from projections.graph.sqlite.store import SqliteGraph, open_sqlite_graph

__all__ = ["SqliteGraph", "open_sqlite_graph"]
