"""One app on this node: its code, environment and credentials, its door to core, and its process.

Everything here can be done again, and finds what it did before. Nothing here writes the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.app.archive import LOCK, read_archive
from core.app.credentials import bus_key, web_key
from core.app.environment import Environments
from core.app.folders import AppFolders
from core.app.gateway import Gateway, socket_path
from core.app.log import AppLog
from core.app.ports import Api, Calls
from core.app.process import ProcessState, Start, Supervisor
from core.app.record import App
from core.app.settings import AppSettings
from pcloud.errors import Unavailable

__all__ = ["Instance"]

log = logging.getLogger("pcloud.app")
POLL = 0.05
# All that an app gets of core's own environment.
PASSED = ("LANG", "TZ", "SSL_CERT_FILE")
WARNING = (
    "{name} runs UNCONFINED: it can read and change every file that this user can, and use the whole network. "
    "Only run apps that you would run by hand."
)


class Instance:
    """Made for one archive of one app; `stop` it before another is made."""

    def __init__(self, app: App, settings: AppSettings, environments: Environments, api: Api, calls: Calls):
        self.app = app
        self.folders = AppFolders.of(settings.folder, app.name)
        self.port = 0
        self._settings = settings
        self._environments = environments
        self._environment: Path | None = None
        self._gateway = Gateway(app.name, socket_path(settings.runtime, app.name), api, calls)
        self._listening = False
        self._calls = calls
        self._log: AppLog | None = None
        self.supervisor: Supervisor | None = None

    # --- steps of the installation, in order -------------------------------------------------------------------------

    async def unpack(self, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Put the app's code in its place; `fetch` gives the archive by its sha256 when it is not there yet."""
        self.folders.make()
        if not self.folders.code(self.app.archive).exists():
            data = await fetch(self.app.archive)
            archive = await asyncio.to_thread(read_archive, data, self._settings.bounds)
            await asyncio.to_thread(self.folders.put_code, self.app.archive, archive.unpack)
        await asyncio.to_thread(lambda: self.folders.drop_code(keep=self.app.archive))

    async def provide_environment(self) -> None:
        if self.app.manifest.run is not None:
            self._environment = await self._environments.provide(self.lock())

    def provide_credentials(self) -> str:
        """The public half of the app's bus key."""
        web_key(self.folders.web_key)
        return bus_key(self.folders.bus_seed)

    async def start(self) -> None:
        """Open the gateway and keep the process running; nothing for an app without one."""
        if not self._listening:
            await self._gateway.__aenter__()
            self._listening = True
        if self.app.manifest.run is None or self.supervisor is not None:
            return
        warning = WARNING.format(name=self.app.name)
        log.warning(warning)
        bounds = self._settings.supervision
        self._log = AppLog(self.folders.log, limit=bounds.log_bytes, longest=bounds.log_line)
        self._log.note(warning)
        self.supervisor = Supervisor(
            self.app.name, self._prepare, self._log, bounds, lambda: self._calls.lost(self.app.name)
        )
        self.supervisor.start()

    async def settled(self) -> None:
        """Wait until the process stays up, and listens if it has pages; raises `Unavailable`."""
        if self.supervisor is None:
            return
        await self.supervisor.settled()
        if self.app.web:
            await self._listening_on_its_port()

    async def stop(self) -> None:
        """End the process and close the gateway. The process first: it may still say something on its way out."""
        if self.supervisor is not None:
            await self.supervisor.stop()
            self.supervisor = None
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._listening:
            self._listening = False
            await self._gateway.__aexit__()

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def web_address(self) -> tuple[str, int] | None:
        """Where the app's own web server listens while its process runs."""
        running = self.supervisor is not None and self.supervisor.state is ProcessState.RUNNING
        return ("127.0.0.1", self.port) if running and self.port else None

    async def _listening_on_its_port(self) -> None:
        seconds = self._settings.supervision.start
        try:
            async with asyncio.timeout(seconds):
                while not await answers(self.web_address):  # noqa: ASYNC110 - another process tells nobody
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise Unavailable(
                f"the app {self.app.name} does not listen on 127.0.0.1 at the port that its environment variable PORT "
                f"names, after {seconds:.0f} s"
            ) from error

    def lock(self) -> str:
        """The text of the app's lock, '' without one."""
        file = self.folders.code(self.app.archive) / LOCK
        return file.read_text() if file.exists() else ""

    # --- within ------------------------------------------------------------------------------------------------------

    def _prepare(self) -> Start:
        run = self.app.manifest.run
        assert run is not None and self._environment is not None
        self.port = free_port() if run.web else 0
        return Start(run.command, self._variables(run.env), self.folders.code(self.app.archive))

    def _variables(self, own: Mapping[str, str]) -> dict[str, str]:
        """The process's whole environment. What the manifest sets can't replace what core sets."""
        path = f"{self._environment}/bin{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        ours = {
            "PCLOUD_APP": self.app.name,
            "PCLOUD_URL": self._gateway.url,
            "PCLOUD_DATA": str(self.folders.data),
            "PCLOUD_SETTINGS": msgspec.json.encode(self._app_settings()).decode(),
            "PCLOUD_WEB_KEY_FILE": str(self.folders.web_key),
            "NATS_URL": self._settings.nats_url,
            "NATS_NKEY_SEED_FILE": str(self.folders.bus_seed),
            "PATH": path,
            "HOME": str(self.folders.data),
            # Output that waits in a buffer is lost with the process.
            "PYTHONUNBUFFERED": "1",
            **({"PORT": str(self.port)} if self.port else {}),
        }
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        return {**passed, **own, **ours}

    def _app_settings(self) -> dict[str, Any]:
        return {**self.app.manifest.settings, **self._settings.overrides.get(self.app.name, {})}


async def answers(address: tuple[str, int] | None) -> bool:
    """Whether something accepts connections there."""
    if address is None:
        return False
    try:
        _, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    """A loopback port that nobody uses now. Somebody may take it before the app does: then the app ends and is
    started with another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
