"""The current visitors of the apps' own web servers. An app may send back to core the header that names its visitor,
and core recognizes it.

A visit lasts from the request until its answer has been sent, or its WebSocket ends. It is recognized by the exact
text that core gave out, which holds 128 random bits: the app has the key that signs it, to check its visitors, so a
signature of that key proves nothing to core. Not shared between nodes: a request that arrives here is served by the
app's process on this node, which asks this node.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

from core.access.caller import Caller
from pcloud.errors import Forbidden
from pcloud.web import USER_HEADER, User, sign_user

__all__ = ["Visits"]

# How long an app accepts it as a statement about a request that has just arrived.
SECONDS = 60


class Visits:
    """One entry per request that is being passed on. `refused` is called for each app that named a visitor without a
    valid visit, with the reason."""

    def __init__(self, refused: Callable[[str, str], None] = lambda app, why: None) -> None:
        self._refused = refused
        self._open: dict[str, tuple[str, Caller]] = {}

    @contextmanager
    def open(self, app: str, key: bytes, visitor: Caller) -> Generator[str]:
        """While the request is answered: yields the header that names the caller to `app`, signed with the app's `key`."""
        user = User(visitor.actor, app, time.time() + SECONDS, visit=secrets.token_hex(16))
        header = sign_user(key, user)
        self._open[header] = app, visitor
        try:
            yield header
        finally:
            del self._open[header]

    def visitor(self, app: str, header: str) -> Caller:
        """Return the visitor of `app`, acting through it; raises `Forbidden` unless core gave the header out for a current visit."""
        known, visitor = self._open.get(header, ("", None))
        if visitor is None or known != app:
            error = Forbidden(
                f"the header {USER_HEADER} does not name a visitor of {app} whose request is being answered now: pass on the header of "
                "the request while it lasts, and do later work as the app itself, without the header"
            )
            self._refused(app, error.message)
            raise error
        return replace(visitor, through=app)
