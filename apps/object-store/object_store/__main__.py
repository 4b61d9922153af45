"""`python -m object_store`: the app as a node starts it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from object_store.actions import bind_actions
from object_store.settings import Settings
from object_store.store import Store, open_store
from pcloud.app import App
from pcloud.errors import Unavailable

__all__ = ["build"]


def build(app: App) -> App:
    """The app with its actions; `app.run()` starts weed."""
    opened = list[Store]()

    def store() -> Store:
        if not opened:
            raise Unavailable("the object store is not open")
        return opened[0]

    async def send(target: str, arguments: Mapping[str, Any], key: str) -> None:
        await app.send(target, arguments, key=key)

    @app.lifespan
    @asynccontextmanager
    async def storage() -> AsyncIterator[None]:
        given = os.environ.get("PORT_S3", ""), os.environ.get("HOST_S3", "")
        async with open_store(Settings.read(app.data, app.settings, *given), send, app.callers) as made:
            app.log.info("S3 is at %s", made.endpoint)
            made.server.on_ready = lambda reason: app.not_ready(reason) if reason else app.ready()
            opened.append(made)
            try:
                yield
            finally:
                opened.clear()

    @app.background
    async def run_store() -> None:
        await store().run()

    bind_actions(app, store)
    return app


if __name__ == "__main__":
    build(App()).run()
