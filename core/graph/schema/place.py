"""Where in a schema's text something is wrong, written as `schema.graphql:12:3: what: what to write instead`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from graphql import GraphQLSyntaxError, Node, get_location

from core.graph.schema.graphql_core import did_you_mean, suggestion_list
from pcloud.errors import Rejected

__all__ = ["Places", "suggest"]


class Places:
    """The text under one file name; `refuse` raises `Rejected` with the place of a node in it."""

    def __init__(self, file: str) -> None:
        self.file = file

    def refuse(self, node: Node, message: str, cause: Exception | None = None) -> NoReturn:
        where = self.file
        if node.loc is not None:
            line, column = get_location(node.loc.source, node.loc.start)
            where = f"{self.file}:{line}:{column}"
        raise Rejected(f"{where}: {message}") from cause

    def refuse_syntax(self, error: GraphQLSyntaxError) -> NoReturn:
        location = error.locations[0] if error.locations else None
        where = f"{self.file}:{location.line}:{location.column}" if location else self.file
        raise Rejected(f"{where}: {error.message}") from error


def suggest(name: str, among: Iterable[str]) -> str:
    """Return ` Did you mean 'Image'?`, or '' if no name is similar."""
    return did_you_mean(suggestion_list(name, list(among))[:3])
