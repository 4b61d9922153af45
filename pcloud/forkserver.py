"""The parent's side of the fork server: starts it with a clean environment, gives it jobs, ends them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys

from pcloud.errors import Unavailable
from pcloud.forked import CONTROL_BYTES, Exited, ForkedCall

__all__ = ["ForkServer", "Running"]

# The environment variables that a child may have; none names a secret. One thread for each job, since there is one job
# per CPU and a fork server must not have threads.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); from pcloud.forked import serve; serve(int(sys.argv[1]))"
)


class Running:
    """One job: a channel to the child, and its exit status."""

    def __init__(self, server: ForkServer, number: int, channel: socket.socket) -> None:
        self._server = server
        self.number = number
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int | None] = self._loop.create_future()

    async def send(self, body: bytes) -> None:
        """Send to the child. If the child dies meanwhile, `receive` notices it."""
        try:
            await self._loop.sock_sendall(self._channel, len(body).to_bytes(8, "little"))
            await self._loop.sock_sendall(self._channel, body)
        except (BrokenPipeError, ConnectionResetError):
            return

    async def receive(self, size: int) -> bytes:
        """Receive exactly `size` bytes; b"" if the child ends before."""
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            try:
                part = await self._loop.sock_recv_into(self._channel, view[got:])
            except ConnectionResetError:
                return b""
            if not part:
                return b""
            got += part
        return bytes(data)

    async def exit_status(self) -> int | None:
        """The exit status of a child whose channel has closed; None if it is unknown."""
        done, _ = await asyncio.wait({self.exited}, timeout=5.0)
        return self.exited.result() if done else None

    def end(self) -> None:
        """Kill the job's remaining processes."""
        self._channel.close()
        if not self.exited.done():
            self._server.kill(self.number)


class ForkServer:
    """One process that forks. It is ended by `close`, and always when this process ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._numbers = itertools.count(1)
        self._running = dict[int, Running]()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | ONE_THREAD
        command = [sys.executable, "-c", START, str(theirs.fileno()), json.dumps(sys.path)]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command, pass_fds=(theirs.fileno(),), env=environment, stdin=subprocess.DEVNULL
                )
            except OSError as error:
                self._control.close()
                raise Unavailable(f"no process can be started for a bounded job: {error}") from error
        self._control.setblocking(False)
        loop.add_reader(self._control.fileno(), self._on_control)
        self.alive = True

    def start(self, job: ForkedCall, file: int | None = None) -> Running:
        """`file`: the descriptor that the job gets. Raises `Unavailable` when the server has died; the next server may
        work."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        running = Running(self, next(self._numbers), ours)
        with theirs:
            try:
                given = [theirs.fileno()] if file is None else [theirs.fileno(), file]
                socket.send_fds(self._control, [job.message(running.number)], given)
            except OSError as error:
                ours.close()
                self.close()
                raise Unavailable(f"{job.title} could not be started: {error}; try again") from error
        self._running[running.number] = running
        return running

    def kill(self, number: int) -> None:
        """End a job with all that it has started. The server does it, because only the server knows whether the process
        id still belongs to that job."""
        if self.alive:
            try:
                self._control.send(json.dumps({"kill": number}).encode())
            except OSError:
                self.close()

    def _on_control(self) -> None:
        try:
            message = self._control.recv(CONTROL_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self.close()
            return
        exited = Exited.read(message)
        if running := self._running.pop(exited.number, None):
            _settle(running.exited, exited.status)

    def close(self) -> None:
        """End the server and its children; running jobs get an unknown exit status."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._process.kill()
        self._process.wait()
        for running in self._running.values():
            _settle(running.exited, None)
        self._running.clear()


def _settle(future: asyncio.Future[int | None], status: int | None) -> None:
    if not future.done():
        future.set_result(status)
