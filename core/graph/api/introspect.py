"""Answers `__schema` and `__type`, by graphql-core's own executor.

With hundreds of apps a view has thousands of types, and an answer with all of them takes seconds. Introspection therefore runs apart from
other requests, one at a time and with a time limit, so that other callers do not wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from graphql import DocumentNode, ExecutionResult

from core.graph.api.operation import Request
from core.graph.schema.graphql_core import execute_sync
from pcloud.errors import Rejected

__all__ = ["Introspection"]


class _TooLong(BaseException):
    """Not an `Exception`: the library would report that as one field's error among thousands."""


class Introspection:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)

    async def answer(self, request: Request, document: DocumentNode) -> ExecutionResult:
        """Answer a `document` with one root field. Raises `Rejected` if it takes too long."""
        async with self._turn:
            try:
                return await asyncio.to_thread(self._answer, request, document)
            except _TooLong:
                raise Rejected(f"this took more than {self._seconds:g} s: ask for less of the schema at once") from None

    def _answer(self, request: Request, document: DocumentNode) -> ExecutionResult:
        end = time.monotonic() + self._seconds

        def bounded(resolve: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
            if time.monotonic() > end:
                raise _TooLong
            return resolve(source, info, **arguments)

        return execute_sync(
            request.served.schema, document, variable_values=dict(request.raw_variables), middleware=[bounded]
        )
