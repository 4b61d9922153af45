"""Serves operations through Ariadne: queries field by field, a mutation's graph fields as one transaction, platform commands one
after another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

import ariadne
from ariadne.types import Extension
from graphql import DocumentNode, ExecutionResult, GraphQLError, located_error

from core.access.caller import Caller
from core.access.quota import size_of
from core.graph.api.context import Context
from core.graph.api.document import LONG, Documents
from core.graph.api.errors import UNLOGGED, format_error
from core.graph.api.events import EventHub
from core.graph.api.execute import EventsExecutor, PlannedExecutor
from core.graph.api.introspect import Introspection
from core.graph.api.mutate import Mutations
from core.graph.api.operation import Request, Step
from core.graph.api.query import Queries
from core.graph.api.request_limits import ApiLimits, check_values
from core.graph.api.served import ServedViews
from core.graph.api.sources import Sources
from core.graph.api.subscribe import Subscriptions, read_position
from core.graph.command import Commands
from core.graph.schema.graphql_core import execute
from pcloud.errors import PCloudError, Rejected

__all__ = ["Service"]

Messages = AsyncGenerator[ExecutionResult, None]

# Ariadne's own signatures leave out what their dicts hold.
_ariadne: Any = ariadne
_ariadne_graphql: Callable[..., Awaitable[tuple[bool, dict[str, Any]]]] = _ariadne.graphql
_ariadne_subscribe: Callable[..., Awaitable[tuple[bool, Messages | list[dict[str, Any]]]]] = _ariadne.subscribe
TOO_LARGE = "the answer is too large: ask for smaller pages (`first`) or fewer fields"


class Service:
    """Everything that answers, assembled by `core.graph.api.api`. `extensions`: Ariadne's, for each query and mutation."""

    def __init__(
        self,
        served: ServedViews,
        sources: Sources,
        commands: Commands,
        hub: EventHub,
        limits: ApiLimits,
        extensions: Sequence[Callable[[], Extension]] = (),
    ) -> None:
        self._served, self._sources, self._limits = served, sources, limits
        self._queries = Queries(sources.log, sources.graph, sources.search)
        self._mutations = Mutations(commands, sources.graph, sources.log)
        self._subscriptions = Subscriptions(sources.log, sources.graph, hub)
        self._documents = Documents(limits)
        self._introspection = Introspection(limits.introspection_seconds)
        self._extensions = [*extensions]

    async def context(self, caller: Caller, body: Mapping[str, Any], headers: Mapping[str, str]) -> Context:
        """Make the context of one request. Raises `Rejected`, `BadRequest`, `NotFound`."""
        data = {
            "query": body.get("query"),
            "operationName": body.get("operationName") or None,
            "variables": body.get("variables") or None,
        }
        check_values(data["variables"], self._limits)
        served = self._served.of(caller)
        context = Context(caller, headers, data, served, self._documents, self._limits)
        if isinstance(text := data["query"], str) and len(text) >= LONG:
            context.document = await self._documents.get(served.version, served.schema, text)
        return context

    async def answer(self, context: Context) -> dict[str, Any]:
        """Answer a query or mutation; without `data` if it could not be started. Raises errors of `pcloud.errors`."""
        _, answer = await _ariadne_graphql(
            context.served.schema,
            context.data,
            **hooks(context),
            extensions=self._extensions,
            execution_context_class=PlannedExecutor,
            run=self._run,
        )
        if context.request is None:
            answer.pop("data", None)
        if context.revision:  # an extension of Ariadne's that says it would cost each answer a middleware as well
            answer["extensions"] = {"revision": context.revision}
        return answer

    async def subscribe(self, context: Context) -> Messages | list[dict[str, Any]]:
        """Start a subscription: return its messages, or the errors."""
        _, begun = await _ariadne_subscribe(
            context.served.schema,
            context.data,
            **hooks(context),
            executor_class=EventsExecutor,
            subscribe_field_resolver=self._events,
        )
        return begun

    def holds(self, request: Request) -> bool:
        """Return True if the caller's view is still the one that the request was prepared for. Raises `NotFound`."""
        return self._served.of(request.caller) is request.served

    async def refresh(self, request: Request) -> Request:
        """Prepare the same request against the caller's current view. Raises `BadRequest` if the view no longer has what is selected."""
        if self.holds(request):
            return request
        name = request.operation.node.name
        body = {"query": request.document.text, "operationName": name.value if name else None}
        context = await self.context(request.caller, body | {"variables": request.raw_variables}, request.headers)
        served = context.served
        context.document = await self._documents.get(served.version, served.schema, request.document.text)
        prepared = context.prepare()
        assert prepared is not None  # the document is the same
        return prepared

    def _events(self, _: Any, info: Any, after: str | None = None) -> AsyncGenerator[dict[str, Any], None]:
        return self._subscriptions.run(info.context.request, after, self.refresh)

    async def _wait(self, request: Request) -> None:
        """Wait until the projections have what the caller has seen (`Pcloud-Revision`) and the types that it asks for. Raises `Rejected` or
        `Unavailable`."""
        asks_apps, sources = request.operation.asks_apps, self._sources
        if asks_apps and sources.graph.checkpoint.sequence < self._served.declared:
            await sources.graph_loop.wait_for(self._served.declared)
        if not (revision := request.header("Pcloud-Revision")):
            return
        sequence = read_position(revision, sources.log.epoch)
        await (sources.graph_loop if asks_apps else sources.directory_loop).wait_for(sequence)
        if request.operation.searches and sources.search_loop is not None:
            await sources.search_loop.wait_for(sequence)

    async def _run(self, context: Context) -> ExecutionResult:
        """Put errors of single fields into the answer; raise errors that concern the whole operation."""
        request = context.request
        assert request is not None
        await self._wait(request)
        known: Mapping[str, Any] = {}
        if changes := _changes(request):
            try:
                known, revision = await self._mutations.run(request, changes)
            except Exception as error:
                context.revision = str(self._sources.revision)
                return ExecutionResult(None, [located_error(error, path=[changes[0].key])])
            context.revision = str(revision)
        elif request.operation.kind == "query":
            context.revision = str(self._sources.revision)
        result = await self._fields(context, request, known)
        context.revision = context.revision or str(self._sources.revision)
        return result

    async def _fields(self, context: Context, request: Request, known: Mapping[str, Any]) -> ExecutionResult:
        """Answer one root field after another, so that the answer's size is checked before the next one begins."""
        data: dict[str, Any] = {}
        errors: list[GraphQLError] = []
        lacking, left = False, self._limits.answer
        for step in request.operation.steps:
            data[step.key] = None
            try:
                if left < 0:
                    raise Rejected(TOO_LARGE)
                if step.alone is not None:
                    result = await self._by_library(context, request, step, step.alone)
                    errors += result.errors or ()
                    lacking = lacking or result.data is None
                    value = (result.data or {}).get(step.key)
                else:
                    value = known[step.key] if step.key in known else await self._planned(request, step)
                if not step.flat and (left := left - size_of(value, left)) < 0:
                    raise Rejected(TOO_LARGE)
                data[step.key] = value
            except PCloudError as error:
                # Its traceback would keep the rows of each refused field in memory until all errors are formatted.
                errors.append(located_error(error.with_traceback(None), path=[step.key]))
                lacking = lacking or step.required
            except Exception as error:
                errors.append(located_error(error, path=[step.key]))
                lacking = lacking or step.required
        return ExecutionResult(None if lacking else data, errors or None)

    async def _planned(self, request: Request, step: Step) -> Any:
        return step.typename if step.root is None else await self._queries.answer(request, step)

    async def _by_library(
        self, context: Context, request: Request, step: Step, document: DocumentNode
    ) -> ExecutionResult:
        """Answer a platform command, by its resolver, or an introspection field."""
        if step.platform is None:
            return await self._introspection.answer(request, document)
        variables = dict(request.raw_variables)
        result = execute(request.served.schema, document, context_value=context, variable_values=variables)
        return await result if isawaitable(result) else result


def hooks(context: Context) -> dict[str, Any]:
    """Return what Ariadne is given for every operation."""
    return {
        "context_value": context,
        "query_parser": context.query_parser,
        "query_validator": context.query_validator,
        "error_formatter": format_error,
        "logger": UNLOGGED,
    }


def _changes(request: Request) -> list[Step]:
    """Return a mutation's changes of the graph. Raises `Rejected` if it mixes them with other fields."""
    if request.operation.kind != "mutation":
        return []
    changes = [step for step in request.operation.steps if step.root is not None]
    command = next((step for step in request.operation.steps if step.platform is not None), None)
    if changes and command:
        raise Rejected(
            f"`{command.name}` does not change the graph: send it in an operation of its own, "
            "apart from fields that form one transaction"
        )
    return changes
