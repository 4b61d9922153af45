"""What one caller is served: its view's schema with the platform commands that it may use, and the meaning of each root field.

The parts of core that own platform commands (`callAction`, `replay` …) add them as Ariadne's bindables.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from ariadne import SchemaBindable
from graphql import FieldDefinitionNode, GraphQLSchema, ObjectTypeDefinitionNode, TypeDefinitionNode

from core.access.caller import Caller
from core.graph.api.variables import Readers
from core.graph.schema.executable import parse_definitions
from core.graph.schema.names import small
from core.graph.schema.registry import ViewRegistry
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewType

__all__ = ["PlatformFields", "Root", "Served", "ServedViews"]

MOST_KNOWN = 1_000
_versions = itertools.count(1)


@dataclass(frozen=True)
class PlatformFields:
    """Fields of `Query` and `Mutation` that do not belong to the graph's own API.

    `sdl`: `type Query { … }` and `type Mutation { … }` with their definitions, and further types that they need. `bindables`: Ariadne's
    `QueryType` and `MutationType`, with a resolver for each field; `info.context` is a `Context`. A mutation's resolver runs outside
    graph transactions. `visible(caller)`: True if the fields exist for this caller, in any of its runs. `checks_scope`: the resolvers
    check the scope that a device was paired for; without it, mutations need the scope `manage` and queries `view`.
    """

    sdl: str
    bindables: tuple[SchemaBindable, ...]
    visible: Callable[[Caller], bool] = lambda caller: caller.view_app == ""
    checks_scope: bool = False

    @cached_property
    def fields(self) -> Mapping[str, Mapping[str, FieldDefinitionNode]]:
        """Root type → field → its definition."""
        return {
            node.name.value: {one.name.value: one for one in node.fields or ()}
            for node in parse_definitions(self.sdl)
            if isinstance(node, ObjectTypeDefinitionNode) and node.name.value in ("Query", "Mutation")
        }

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for fields in self.fields.values() for name in fields)

    @property
    def types(self) -> Iterator[TypeDefinitionNode]:
        """The further types."""
        return (node for node in parse_definitions(self.sdl) if node.name.value not in self.fields)


class Root(NamedTuple):
    """A root field of the graph's API: its kind and its type."""

    kind: Literal["get", "query", "aggregate", "add", "update", "delete", "events", "search", "history", "revision"]
    type: ViewType | None = None


@dataclass(frozen=True, eq=False)
class Served:
    view: View
    schema: GraphQLSchema
    roots: Mapping[str, Root]
    platform: Mapping[str, PlatformFields]  # by the name of each field
    readers: Readers = field(default_factory=Readers)
    version: int = field(default_factory=lambda: next(_versions))


class ServedViews:
    """Caches what is served for as long as the view lives."""

    def __init__(self, views: ViewRegistry, platform: Sequence[PlatformFields]) -> None:
        self._views, self._platform = views, tuple(platform)
        self._made: dict[tuple[str, tuple[int, ...]], Served] = {}
        self._known: dict[tuple[str, str, str], Served] = {}  # what recent callers are served
        self._unsubscribe = views.on_swap(self._forget)

    def close(self) -> None:
        self._unsubscribe()

    @property
    def declared(self) -> int:
        """See `ViewRegistry.declared`."""
        return self._views.declared

    def add(self, platform: Sequence[PlatformFields]) -> None:
        self._platform += tuple(platform)
        self._made.clear()
        self._known.clear()

    def _forget(self) -> None:
        self._known.clear()
        self._made = {key: made for key, made in self._made.items() if self._views.holds(made.view)}

    def of(self, caller: Caller) -> Served:
        """Return what the caller is served. Raises `NotFound` for an app that does not exist."""
        key = (caller.kind, caller.name, caller.through)
        if (known := self._known.get(key)) is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._of(caller)
        return known

    def _of(self, caller: Caller) -> Served:
        app = caller.view_app
        shown = tuple(index for index, one in enumerate(self._platform) if one.visible(caller))
        if (made := self._made.get((app, shown))) is None:
            view = self._views.app(app) if app else self._views.owner()
            made = self._made[app, shown] = serve(view, [self._platform[index] for index in shown])
        return made


def serve(view: View, platform: Sequence[PlatformFields]) -> Served:
    more = {
        root: {name: node for one in platform for name, node in one.fields.get(root, {}).items()}
        for root in ("Query", "Mutation")
    }
    schema = view.schema_with(more, [node for one in platform for node in one.types]) if platform else view.schema
    for one in platform:
        for bindable in one.bindables:
            bindable.bind_to_schema(schema)
    return Served(view, schema, roots_of(view), {name: one for one in platform for name in one.names})


def roots_of(view: View) -> dict[str, Root]:
    roots: dict[str, Root] = {"revision": Root("revision")}
    if view.types:
        roots |= {"search": Root("search"), "nodeHistory": Root("history")}
    for name, type_ in view.types.items():
        roots |= {
            f"get{name}": Root("get", type_), f"query{name}": Root("query", type_),
            f"aggregate{name}": Root("aggregate", type_), f"add{name}": Root("add", type_),
            f"update{name}": Root("update", type_), f"delete{name}": Root("delete", type_),
            f"{small(name)}Events": Root("events", type_),
        }  # fmt: skip
    return roots
