"""A core in a process of its own, to be killed: `python -m tests.integration.processor.core_process FOLDER` with the address and
credentials as JSON on standard input. Attaches the apps that it finds in the graph, says `ready`, and works until its end."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventstore import Credentials
from tests.integration.processor.small_core import Installed, start_core

__all__ = ["connection_of"]


@dataclass
class Server:
    """What a core needs to know of a server that runs elsewhere."""

    url: str
    core: Credentials
    dispatcher: Credentials


def connection_of(server: Any) -> bytes:
    """What `main` reads."""
    users = {
        name: [user.user, user.password] for name, user in (("core", server.core), ("dispatcher", server.dispatcher))
    }
    return json.dumps({"url": server.url, **users}).encode()


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    server = Server(told["url"], Credentials(*told["core"]), Credentials(*told["dispatcher"]))
    async with start_core(server, Path(sys.argv[1]), {}) as core:  # type: ignore[arg-type]
        for name, found in core.directory.records.apps.items():
            await core.processor.attach(Installed(name, found.manifest))
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
