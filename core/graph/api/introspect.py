"""Answers `__schema` and `__type`, by graphql-core's own executor.

A view has thousands of types when its apps have hundreds, and asking for all of them takes seconds: that is done aside, one request at a
time, so that nobody else waits for it, and ends after its time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from graphql import DocumentNode, ExecutionResult, execute_sync

from core.graph.api.operation import Request
from pcloud.errors import Rejected

__all__ = ["Introspection"]


class _TooLong(BaseException):
    """No `Exception`, or it would become one field's error among thousands."""


class Introspection:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)

    async def answer(self, request: Request, document: DocumentNode) -> ExecutionResult:
        """`document` has one root field; raises `Rejected` when it takes too long."""
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
