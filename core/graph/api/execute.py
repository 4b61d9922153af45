"""The execution contexts for Ariadne: they hand a prepared operation to the planner instead of walking it field by field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from graphql import DocumentNode, ExecutionResult, Executor, GraphQLError, GraphQLSchema

from core.graph.api.context import Context
from core.graph.api.errors import BadRequest

__all__ = ["EventsExecutor", "PlannedExecutor", "Run"]

Run = Callable[[Context], Awaitable[ExecutionResult]]


class PlannedExecutor(Executor[Any]):
    """Runs a query or mutation through `run`. It skips the library's own state, which would take a twentieth of a small request."""

    def __init__(self, context: Context, run: Run) -> None:
        self._context, self._run = context, run

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        *given: Any,
        run: Run,
        **named: Any,
    ) -> list[GraphQLError] | Executor[Any]:
        try:
            if context_value.prepare() is None:  # the library reports what is missing
                return cast("Any", super()).build(schema, document, root_value, context_value, *given, **named)
        except BadRequest as error:
            return error.errors
        return cls(context_value, run)

    def execute_operation(self, serially: bool | None = None) -> Any:
        return self._run(self._context)


class EventsExecutor(Executor[Any]):
    """Runs a subscription, whose source yields messages in the selected shape, so that nothing is left to execute."""

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        *given: Any,
        **named: Any,
    ) -> list[GraphQLError] | Executor[Any]:
        try:
            context_value.prepare()
        except BadRequest as error:
            return error.errors
        return cast("Any", super()).build(schema, document, root_value, context_value, *given, **named)

    def execute_operation(self, serially: bool | None = None) -> Any:
        return ExecutionResult(self.root_value, None)
