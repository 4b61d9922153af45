"""Who visits the apps' own web servers at this moment: what an app is told of a visitor, it may pass on to core, which knows it again.

A visit lasts from the request until its answer has been taken, or its WebSocket ends. It is known by the very text that core gave out,
which holds 128 random bits: the app has the key that signs it, so that it can check whom it serves, and a signature of that key proves
nothing to core. Not shared between nodes: who comes in here is served by the app's process on this node, which asks this node.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from core.access.caller import Caller
from pcloud.errors import Forbidden
from pcloud.web import USER_HEADER, User, sign_user

__all__ = ["Visits"]

# An app takes it for a statement about a request that has just come for so long.
SECONDS = 60


class Visits:
    """As many as there are requests being passed on. `refused`: told each app that named a visitor who is none, and why."""

    def __init__(self, refused: Callable[[str, str], None] = lambda app, why: None) -> None:
        self._refused = refused
        self._open: dict[str, tuple[str, Caller]] = {}

    @contextmanager
    def open(self, app: str, key: bytes, visitor: Caller) -> Iterator[str]:
        """For as long as the request is answered: the header that tells `app` who asks, signed with the app's `key`."""
        user = User(visitor.actor, app, time.time() + SECONDS, visit=secrets.token_hex(16))
        header = sign_user(key, user)
        self._open[header] = app, visitor
        try:
            yield header
        finally:
            del self._open[header]

    def visitor(self, app: str, header: str) -> Caller:
        """Who visits `app`, acting through it; raises `Forbidden` for what core did not give out for a visit of now."""
        known, visitor = self._open.get(header, ("", None))
        if visitor is None or known != app:
            error = Forbidden(
                f"the header {USER_HEADER} names no visitor of {app} whose request is being answered now: pass on what came "
                "with the request while it lasts, and do what goes on after it as the app's own work, without the header"
            )
            self._refused(app, error.message)
            raise error
        return replace(visitor, through=app)
