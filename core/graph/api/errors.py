"""Errors as GraphQL answers them: a message, where, and `extensions.code`. What is not PCloud's own error is logged and not told."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError

from pcloud.errors import PCloudError, Rejected, error_from_code

__all__ = ["UNLOGGED", "BadRequest", "error_answer", "format_error", "http_status"]

log = logging.getLogger("pcloud.api")
# For Ariadne, which would log every mistake of a caller with what was sent: what is unexpected is logged here.
UNLOGGED = logging.Logger("pcloud.api.unlogged", logging.CRITICAL + 1)
MAX_TOLD = 20
MAX_MESSAGE = 1_000  # a message may quote what was sent


class BadRequest(Exception):
    """The document or its variables are wrong; `errors` say where."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message[:MAX_MESSAGE] for error in errors[:3]))
        self.errors = list(errors)[:MAX_TOLD]


def error_answer(error: BaseException) -> list[dict[str, Any]]:
    """The entries for `errors` of a request that could not be begun."""
    if isinstance(error, BadRequest):
        return [format_error(one) for one in error.errors]
    if isinstance(error, GraphQLError):
        return [format_error(error)]
    return [_told(error, None)]


def format_error(error: GraphQLError, debug: bool = False) -> dict[str, Any]:
    """Ariadne's `error_formatter`: one entry for `errors`."""
    cause = error.original_error
    # A scalar that refuses a literal raises `ValueError`, and validation, which has no path, says it in its own words.
    words = GraphQLError if error.path else GraphQLError | ValueError
    if cause is not None and not isinstance(cause, words):
        return _told(cause, error.path)
    entry = _entry(error.message, Rejected.code, error.path)
    if error.locations:
        entry["locations"] = [{"line": one.line, "column": one.column} for one in error.locations[:MAX_TOLD]]
    return entry


def _told(error: BaseException, path: Sequence[str | int] | None) -> dict[str, Any]:
    """An unexpected exception is logged under an id, and that id is all that the caller sees."""
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
    """For a request that could not be begun, by the first entry of its `errors`."""
    return error_from_code(errors[0]["extensions"]["code"], "").http_status
