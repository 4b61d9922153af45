"""Errors as GraphQL answers them: a message, where, and `extensions.code`. What is not PCloud's own error is logged and not told."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

from pcloud.errors import PCloudError, Rejected

__all__ = ["BadRequest", "error_answer", "http_status"]

log = logging.getLogger("pcloud.api")
MAX_TOLD = 20
MAX_MESSAGE = 1_000  # a message may quote what was sent


class BadRequest(Exception):
    """The document or its variables are wrong; `errors` say where."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message[:MAX_MESSAGE] for error in errors[:3]))
        self.errors = list(errors)[:MAX_TOLD]


def error_answer(error: BaseException, path: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
    """The entries for `errors`; an unexpected exception is logged under an id that is all the caller is told."""
    if isinstance(error, BadRequest):
        return [_graphql(one) for one in error.errors]
    if isinstance(error, GraphQLError):
        if isinstance(error.original_error, PCloudError):
            return error_answer(error.original_error, path)
        return [_graphql(error, path)]
    if isinstance(error, PCloudError):
        return [_entry(error.message, error.code, path)]
    reference = secrets.token_hex(6)
    log.error("unexpected error %s in a GraphQL request", reference, exc_info=error)
    return [_entry(f"something went wrong inside PCloud; the log has it under {reference}", "INTERNAL", path)]


def _graphql(error: GraphQLError, path: Sequence[str | int] | None = None) -> dict[str, Any]:
    entry = _entry(error.message, Rejected.code, path)
    if error.locations:
        entry["locations"] = [{"line": one.line, "column": one.column} for one in error.locations[:MAX_TOLD]]
    return entry


def _entry(message: str, code: str, path: Sequence[str | int] | None) -> dict[str, Any]:
    message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
    entry: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    if path:
        entry["path"] = list(path)
    return entry


def http_status(error: BaseException) -> int:
    """For a request that could not be begun."""
    if isinstance(error, BadRequest | GraphQLError):
        return Rejected.http_status
    return error.http_status if isinstance(error, PCloudError) else 500
