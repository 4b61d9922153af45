"""The context of the running task: the app, run, transaction and trace that a line of the log belongs to.

It follows the task through everything it awaits. Only the log's formatter reads it; no decision depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType

__all__ = ["About", "now_about"]

_about: ContextVar[Mapping[str, str] | None] = ContextVar("pcloud_about", default=None)


def now_about() -> Mapping[str, str]:
    """Return the fields of the innermost `About` around the running task."""
    return _about.get() or {}


class About:
    """`with About(app="photos", run=id): …`; empty fields are left out, fields of an outer `About` stay."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token: Token[Mapping[str, str] | None] = _about.set({**(_about.get() or {}), **self._fields})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _about.reset(self._token)
