"""A real node as a subprocess, for tests: started by the installed `pcloud`, asked by its own socket, killed at will."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.apps import packed
from core.cli.client import Client, open_client
from tests.forked import run_command
from tests.waiting import PATIENCE, wait_until

__all__ = ["BUNDLED", "NodeProcess", "wait_until"]

ROOT = Path(__file__).parent.parent
PCLOUD = Path(sys.executable).parent / "pcloud"
BUNDLED = ("object-store", "image-importer", "face-detector", "photos", "random-puppy")


class NodeProcess:
    """`with NodeProcess(folder) as node`. `address`: its web address. `listens`: host and port, if another
    address is public. `token`: the owner's, from the first start. `before`: a command
    that runs the node's."""

    before: Sequence[str] = ()

    def __init__(self, data: Path, *arguments: str):
        self.data = data
        self.arguments = arguments
        self.token = ""
        self.address = self.listens = ""
        self.link = ""
        self.process: Any = None
        self.log = data.parent / f"{data.name}.log"

    def __enter__(self) -> NodeProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it has said where it is."""
        self.process = self.launch(["up", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.arguments])
        said = ""
        for line in self.process.stdout:
            said += line
            if found := re.search(r"^    (owner_\w+)$", line, re.MULTILINE):
                self.token = found[1]
            if found := re.search(r"this node listens at (\S+)", line):
                self.listens = found[1]
            if found := re.search(r"up at (\S+)", line):
                self.address = found[1]
            if found := re.search(r"within ten minutes: (\S+)", line):
                self.link = found[1]
                return
        raise AssertionError(f"the node did not start; it said {said!r} and logged:\n{self.log.read_text()[-4000:]}")

    def launch(self, arguments: list[str]) -> Any:
        """`pcloud` with these as a `subprocess.Popen`, or what is like one."""
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*self.before, str(PCLOUD), *arguments], stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
            )

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        self._close()

    def kill(self) -> None:
        """End it as a power cut of the process would: no handler runs."""
        assert self.process
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def _close(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `pcloud ARGUMENTS` against this node."""
        environment = {**os.environ, "PCLOUD_DATA_FOLDER": str(self.data)}
        result = run_command(arguments, environment)
        assert not check or result.returncode == 0, (
            f"pcloud {' '.join(arguments)} ended with {result.returncode}: {result.stderr}"
        )
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self.cli(*arguments).stdout)

    def graphql(self, query: str, variables: dict[str, Any] | None = None, *, app: str = "") -> dict[str, Any]:
        return self._with_client(lambda client: client.graphql(query, variables, app=app))

    def status(self) -> dict[str, Any]:
        return self._with_client(lambda client: client.ask("GET", "/status"))

    def install(self, *names: str) -> None:
        """Install bundled apps with every grant approved."""
        for name in names:
            self.install_archive(packed(ROOT / "apps" / name).data)

    def install_archive(self, archive: bytes, *, unconfined: bool = False, hand_over: bool = False) -> None:
        """Install an archive with every grant approved. `hand_over`: also what another author's app of its name has stored."""

        async def work(client: Client) -> None:
            path = f"/apps?approve=all&unconfined={str(unconfined).lower()}&hand-over={str(hand_over).lower()}"
            async for _ in client.lines("POST", path, data=archive):
                pass

        self._with_client(work)

    def _with_client(self, work: Callable[[Client], Any]) -> Any:
        async def ask() -> Any:
            async with open_client(self.data) as client:
                return await work(client)

        # In a thread of its own: a browser under test may have an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()

    def children(self) -> list[int]:
        """The process ids of everything that the node started, below it at any depth."""
        import psutil

        assert self.process
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
