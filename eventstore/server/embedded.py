"""The server as the node uses it: an address, users, and a watch that starts it again when it dies.

A restart uses the same port and the same data, so clients reconnect by themselves. The apps' users are changed in its
configuration file and by a reload: other connections stay, and a removed user's connection is closed at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from eventstore.connection import NoAnswer, open_connection
from eventstore.server.binary import find_binary
from eventstore.server.config import render_config
from eventstore.server.folder import end_orphan, free_port, hold_folder, port_is_free
from eventstore.server.full_disk import restart_after_full_disk
from eventstore.server.identity import Identity, load_identity, save_private
from eventstore.server.process import ServerProcess, start_process
from eventstore.settings import ConnectionSettings, Credentials, ServerSettings
from pcloud.errors import PCloudError, Unavailable
from pcloud.subject import check_app

__all__ = ["EmbeddedServer", "Failure", "open_server"]

log = logging.getLogger(__name__)

# Seconds after which a start counts as successful.
STABLE = 60.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
RELOAD_SECONDS = 60.0
# This many deaths, each within a minute of a start, may be chance.
OFTEN = 4


class Failure:
    """Awaiting it returns the reason once the server is no longer watched; any number of tasks may wait."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._event = asyncio.Event()

    def __await__(self) -> Generator[None, None, str]:
        yield from self._event.wait().__await__()
        return self.reason or ""

    def happen(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self._event.set()


@asynccontextmanager
async def open_server(settings: ServerSettings) -> AsyncGenerator[EmbeddedServer]:
    """Start the server, keep it alive until the block ends, then end it. Raises `Unavailable` if it can't start."""
    binary = find_binary(settings.binary)
    folder = settings.folder.resolve()
    with hold_folder(folder):
        await end_orphan(folder / "nats.pid", folder / "nats.conf")
        identity = _with_port(load_identity(folder / "server.json"), settings)
        save_private(folder / "server.json", msgspec.json.encode(identity))
        server = EmbeddedServer(settings, binary, identity)
        await server.start()
        works = {
            "nats-server": server.keep_alive(),
            "nats-server's disk": restart_after_full_disk(server.log_path, server.restart),
        }
        watches = [asyncio.create_task(work, name=name) for name, work in works.items()]
        for watch in watches:
            watch.add_done_callback(server.watch_ended)
        try:
            yield server
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.wait(watches)
            await server.stop()


def _with_port(identity: Identity, settings: ServerSettings) -> Identity:
    if settings.port:
        if not port_is_free(settings.host, settings.port):
            raise Unavailable(
                f"port {settings.port} on {settings.host} is taken by another program: end that, or choose another port"
            )
        return msgspec.structs.replace(identity, port=settings.port)
    if identity.port and port_is_free(settings.host, identity.port):
        return identity
    # The port was not configured, so another one will do.
    return msgspec.structs.replace(identity, port=free_port(settings.host))


class EmbeddedServer:
    """Made by `open_server`, which alone starts and stops it."""

    def __init__(self, settings: ServerSettings, binary: Path, identity: Identity) -> None:
        self._settings = settings
        self._folder = settings.folder.resolve()
        self._binary = binary
        self._identity = identity
        self._config = self._folder / "nats.conf"
        self._app_users: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._process: ServerProcess | None = None
        self._running = asyncio.Event()
        self._reload = asyncio.Lock()
        self.failed = Failure()
        self.problem = ""
        self.log_path = self._folder / "nats.log"

    @property
    def url(self) -> str:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"nats://{host}:{self._identity.port}"

    @property
    def core(self) -> Credentials:
        return self._identity.core

    @property
    def dispatcher(self) -> Credentials:
        return self._identity.dispatcher

    @property
    def inspector(self) -> Credentials:
        """Credentials that read the whole log and change nothing."""
        return self._identity.inspector

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is down."""
        return self._process.process.pid if self._process is not None and self._running.is_set() else None

    @property
    def known_users(self) -> Mapping[str, str]:
        """The app by its public nkey, for all users since the start: a line of the log may come after its user was
        removed."""
        return self._known

    async def set_app_users(self, users: Mapping[str, str]) -> None:
        """Let exactly these apps in (public nkey by app); returns once the server has applied that. Setting the same
        users again does nothing. Raises `Rejected` for an invalid name and `Unavailable` if the server can't reload its
        users."""
        for app in users:
            check_app(app)
        async with self._reload:
            if dict(users) == self._app_users:
                return
            before, self._app_users = self._app_users, dict(users)
            self._known |= {public: app for app, public in users.items()}
            try:
                self._write_config()
                await self._reload_config()
            except BaseException:
                self._app_users = before
                self._write_config()
                raise

    async def start(self) -> None:
        self._write_config()
        self._process = await start_process(
            self._binary, self._config, host=self._settings.host, port=self._identity.port,
            server_name=self._identity.server_name, timeout=self._settings.ready_timeout,
            environment=dict(os.environ) | {"GOMEMLIMIT": self._settings.memory_limit,
                                            "GOGC": str(self._settings.garbage_collection)},
        )  # fmt: skip
        self._running.set()

    async def stop(self) -> None:
        self._running.clear()
        if self._process is not None:
            await self._process.stop(self._settings.stop_timeout)

    async def restart(self) -> None:
        """End it as at a stop; `keep_alive` starts it again."""
        if self._process is not None:
            await self._process.stop(self._settings.stop_timeout)

    async def keep_alive(self) -> None:
        """Start it again whenever it dies, after growing pauses if it keeps dying within a minute: a machine that is
        short of memory may end it many times."""
        clock = asyncio.get_running_loop().time
        deaths, alive_since = 0, clock()
        while self._process is not None:
            code = await self._process.process.wait()
            self._running.clear()
            deaths = deaths + 1 if clock() - alive_since < STABLE else 1
            reason = f"nats-server ended with code {code}; its log is {self.log_path}"
            log.warning("%s; starting it again", reason)
            while reason:
                self.problem = f"{reason}; PCloud keeps starting it" if deaths > OFTEN else ""
                await asyncio.sleep(min(FIRST_PAUSE * 2 ** min(deaths - 1, 16), LONGEST_PAUSE))
                if (again := await self._try_start()) not in ("", reason):
                    log.error("%s", again)
                reason = again
                deaths += bool(reason)
            self.problem, alive_since = "", clock()

    def watch_ended(self, watch: asyncio.Task[None]) -> None:
        """Report that the watch itself has ended: without it, the server would not be started again."""
        if not watch.cancelled() and (error := watch.exception()) is not None:
            self.failed.happen(f"nats-server is no longer watched: {error!r}")

    async def _try_start(self) -> str:
        """Return '' if it runs, else the reason."""
        try:
            await self.start()
        except PCloudError as error:
            return error.message
        except OSError as error:
            return f"nats-server does not start: {error}"
        return ""

    def _write_config(self) -> None:
        config = render_config(self._folder, self._settings.host, self._identity.port, self._identity, self._app_users)
        save_private(self._config, config)

    async def _reload_config(self) -> None:
        """Reload over the system account, which reports whether it worked; SIGHUP writes that only to the server's
        log."""
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                while True:
                    await self._running.wait()
                    try:
                        return await self._ask_to_reload()
                    except NoAnswer as error:
                        # It died meanwhile; the next start reads the new file, and the next reload changes nothing.
                        log.info("nats-server did not answer the reload (%s); asking again", error)
                        await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise Unavailable(f"nats-server can't reload its users: it is not running; see {self.log_path}") from error

    async def _ask_to_reload(self) -> None:
        assert self._process is not None
        settings = ConnectionSettings(self.url, self._identity.operator, name="pcloud operator")
        try:
            async with open_connection(settings) as connection:
                answer = await connection.ask(f"$SYS.REQ.SERVER.{self._process.server_id}.RELOAD")
        except Unavailable as error:
            raise NoAnswer(error.message) from error
        error = msgspec.json.decode(answer.data or b"{}", type=dict[str, object]).get("error")
        if error:
            raise Unavailable(f"nats-server did not accept its new users: {error}")
