"""Errors in GraphQL's form: a message, locations, and `extensions.code`. Errors that are not PCloud's own are logged, not shown."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError

from pcloud.errors import PCloudError, Rejected, error_from_code

__all__ = ["UNLOGGED", "BadRequest", "error_answer", "format_error", "http_status"]

log = logging.getLogger("pcloud.api")
# Ariadne's own logger would write every caller's mistake with what was sent; unexpected errors are logged in this file.
UNLOGGED = logging.Logger("pcloud.api.unlogged", logging.CRITICAL + 1)
MAX_TOLD = 20
MAX_MESSAGE = 1_000  # a message may quote what was sent


class BadRequest(Exception):
    """The document or its variables are wrong; `errors` say where."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message[:MAX_MESSAGE] for error in errors[:3]))
        self.errors = list(errors)[:MAX_TOLD]


def error_answer(error: BaseException) -> list[dict[str, Any]]:
    """Return the entries for `errors` of a request that could not be started."""
    if isinstance(error, BadRequest):
        return [format_error(one) for one in error.errors]
    if isinstance(error, GraphQLError):
        return [format_error(error)]
    return [_told(error, None)]


def format_error(error: GraphQLError, debug: bool = False) -> dict[str, Any]:
    """Ariadne's `error_formatter`: return one entry for `errors`."""
    cause = error.original_error
    # A scalar that refuses a literal raises `ValueError`; validation, which has no path, words its own message.
    words = GraphQLError if error.path else GraphQLError | ValueError
    if cause is not None and not isinstance(cause, words):
        return _told(cause, error.path)
    entry = _entry(error.message, Rejected.code, error.path)
    if error.locations:
        entry["locations"] = [{"line": one.line, "column": one.column} for one in error.locations[:MAX_TOLD]]
    return entry


def _told(error: BaseException, path: Sequence[str | int] | None) -> dict[str, Any]:
    """Log an unexpected exception under an id, and show the caller only that id."""
    if isinstance(error, PCloudError):
        return _entry(error.message, error.code, path)
    reference = secrets.token_hex(6)
    log.error("unexpected error %s in a GraphQL request", reference, exc_info=error)
    return _entry(f"something went wrong inside PCloud; the log has it under {reference}", "INTERNAL", path)


def _entry(message: str, code: str, path: Sequence[str | int] | None) -> dict[str, Any]:
    message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
    entry: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    if path:
        entry["path"] = list(path)
    return entry


def http_status(errors: Sequence[Mapping[str, Any]]) -> int:
    """Return the status of a request that could not be started, by the first entry of its `errors`."""
    return error_from_code(errors[0]["extensions"]["code"], "").http_status
