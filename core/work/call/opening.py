"""Connects to the bus and assembles the parts of calling."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from core.access.audit import Audit
from core.work.call.authorization import Authorization
from core.work.call.calls import CallQuota, Calls
from core.work.call.capability import Capabilities, CommandWriter
from core.work.call.dispatch import Dispatcher
from core.work.call.invoke import Invoker
from core.work.call.settings import CallSettings
from eventstore import Credentials, EmbeddedServer, EventStore
from projections.directory import Directory

__all__ = ["open_calls"]


@contextlib.asynccontextmanager
async def open_calls(
    store: EventStore,
    server: EmbeddedServer,
    directory: Directory,
    commands: CommandWriter,
    settings: CallSettings | None = None,
    audit: Audit | None = None,
    quotas: CallQuota | None = None,
) -> AsyncGenerator[Calls]:
    """Connect to the bus. `server`: `url` and the `dispatcher`'s credentials. `audit`: where each call is recorded; by
    default an audit log opened here."""
    settings = settings or CallSettings()
    capabilities = Capabilities(store.id_key, directory, commands)
    credentials = server.dispatcher
    async with (
        Dispatcher.open(server.url, _options(credentials), settings.dispatch) as dispatcher,
        contextlib.nullcontext(audit) if audit else Audit.open(store.audit) as audit,
    ):
        authorization = Authorization(directory, capabilities, audit)
        invoker = Invoker(dispatcher, directory, capabilities, settings)
        calls = Calls(store, directory, authorization, invoker, audit, quotas)
        telling = asyncio.create_task(calls.tell_callers(), name="tell of callers")
        try:
            yield calls
        finally:
            telling.cancel()
            await asyncio.wait([telling])


def _options(credentials: Credentials) -> dict[str, Any]:
    """Return the credentials in nats-py's form."""
    if credentials.nkey_seed:
        return {"nkeys_seed_str": credentials.nkey_seed}
    return {"user": credentials.user, "password": credentials.password}
