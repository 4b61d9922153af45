"""`python -m object_store`: the app as a node starts it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from object_store.actions import bind_actions
from object_store.settings import Settings
from object_store.store import Store, open_store
from object_store.weed.server import why_not_startable
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

    def tell(reason: str, serves: bool) -> None:
        if not reason:
            app.ready()
        elif serves:
            app.degraded(reason)
        else:
            app.not_ready(reason)

    @app.lifespan
    @asynccontextmanager
    async def storage() -> AsyncIterator[None]:
        given = os.environ.get("PORT_S3", ""), os.environ.get("HOST_S3", "")
        settings = Settings.read(app.data, app.settings, *given)
        if reason := why_not_startable(
            settings
        ):  # stays so until the owner changes the limit, which starts the app again
            app.not_ready(reason)
            yield
            return
        async with open_store(settings, send, app.callers) as made:
            app.log.info("S3 is at %s", made.endpoint)
            made.health.tell = tell
            opened.append(made)
            try:
                yield
            finally:
                opened.clear()

    @app.background
    async def run_store() -> None:
        if opened:
            await opened[0].run()
        else:
            await asyncio.Event().wait()

    bind_actions(app, store)
    return app


if __name__ == "__main__":
    build(App()).run()
