"""What one caller is served: its view's schema with the platform commands that it may use, and which root field does what.

Platform commands (`callAction`, `approveGrant` …) are added by the parts of core that own them; each is a `RootField`.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from graphql import GraphQLSchema

from core.api.variables import Readers
from core.caller import Caller
from core.schema.names import small
from core.schema.registry import ViewRegistry
from core.schema.view import View
from core.schema.view_type import ViewType

__all__ = ["FieldInfo", "Root", "RootField", "Served", "ServedViews"]  # fmt: skip

MOST_KNOWN = 1_000
_versions = itertools.count(1)


class FieldInfo(NamedTuple):
    """What a platform command is told besides its arguments."""

    view: View
    headers: Mapping[str, str]
    key: str  # the response key


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field that is no part of the graph's own API.

    `sdl`: its definition, `callAction(app: String!, action: String!, args: JSON): JSON`. `resolve(caller, arguments, info)`: its value:
    a scalar, a dict, or a list of them. `visible(caller)`: for whom it exists, whatever the run. `types_sdl`: further types that it
    needs. Mutations among them are no part of a graph transaction. `checks_scope`: it looks itself at what a device was paired for; for
    other mutations that must be `manage`, for queries `view`.
    """

    operation: Literal["query", "mutation"]
    sdl: str
    resolve: Callable[[Caller, dict[str, Any], FieldInfo], Awaitable[Any]]
    visible: Callable[[Caller], bool] = lambda caller: caller.view_app == ""
    types_sdl: str = ""
    checks_scope: bool = False

    @property
    def name(self) -> str:
        return self.sdl.partition("(")[0].partition(":")[0].strip()


class Root(NamedTuple):
    """A root field of the graph's API: what it does, to which type."""

    kind: Literal["get", "query", "aggregate", "add", "update", "delete", "events", "search", "history", "revision"]
    type: ViewType | None = None


@dataclass(frozen=True, eq=False)
class Served:
    view: View
    schema: GraphQLSchema
    roots: Mapping[str, Root]
    extra: Mapping[str, RootField]
    readers: Readers = field(default_factory=Readers)
    version: int = field(default_factory=lambda: next(_versions))


class ServedViews:
    """Keeps what is served for as long as its view lives."""

    def __init__(self, views: ViewRegistry, extra: Sequence[RootField]) -> None:
        self._views, self._extra = views, tuple(extra)
        self._made: dict[tuple[str, tuple[int, ...]], Served] = {}
        self._known: dict[tuple[str, str, str], Served] = {}  # what those who asked lately are served
        self._unsubscribe = views.on_swap(self._forget)

    def close(self) -> None:
        self._unsubscribe()

    @property
    def declared(self) -> int:
        """See `ViewRegistry.declared`."""
        return self._views.declared

    def add(self, extra: Sequence[RootField]) -> None:
        """More platform commands."""
        self._extra += tuple(extra)
        self._made.clear()
        self._known.clear()

    def _forget(self) -> None:
        self._known.clear()
        self._made = {key: made for key, made in self._made.items() if self._views.holds(made.view)}

    def of(self, caller: Caller) -> Served:
        """Raises `NotFound` for an app that does not exist."""
        key = (caller.kind, caller.name, caller.through)
        if (known := self._known.get(key)) is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._of(caller)
        return known

    def _of(self, caller: Caller) -> Served:
        app = caller.view_app
        shown = tuple(index for index, one in enumerate(self._extra) if one.visible(caller))
        if (made := self._made.get((app, shown))) is None:
            view = self._views.app(app) if app else self._views.owner()
            made = self._made[app, shown] = serve(view, [self._extra[index] for index in shown])
        return made


def serve(view: View, extra: Sequence[RootField]) -> Served:
    more = {
        root: {one.name: one.sdl for one in extra if one.operation == operation}
        for operation, root in (("query", "Query"), ("mutation", "Mutation"))
    }
    texts = dict.fromkeys(one.types_sdl for one in extra if one.types_sdl)
    return Served(
        view, view.schema_with(more, texts) if extra else view.schema, roots_of(view), {one.name: one for one in extra}
    )


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
