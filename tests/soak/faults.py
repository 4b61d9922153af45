"""What happens to a node during a soak: each fault is applied for a while, taken back, and must be over soon after."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.crashes.clients import Clients
from tests.crashes.test_node_kill import process_of
from tests.own_disk import MB, ImageDisk
from tests.soak.memory import MemoryGroup
from tests.soak.report import Report

__all__ = ["Faults"]

STALL, SHORTAGE, FULL, QUIET = 100.0, 60.0, 40.0, 10.0  # seconds
RECOVERY = 600.0
FREE = (2 * MB, 100 * MB)  # next to nothing, and below the reserve
SERVERS = {"nats-server": ("nats-server",), "weed": ("weed", "mini")}


class Faults:
    """`memory`: None if this machine does not allow it."""

    def __init__(self, node: ImageDisk, clients: Clients, report: Report, memory: MemoryGroup | None) -> None:
        self._node, self._clients, self._report, self._memory = node, clients, report, memory
        self._began, self._starts = time.monotonic(), True

    def every(self) -> Iterator[tuple[str, float, Callable[[], None]]]:
        """Again and again: the name of each, the seconds that it takes, and what does it."""
        for turn in range(10**6):
            for server in SERVERS:
                yield f"{server} is killed", 0, lambda server=server: self._kill(server)
            free = FREE[turn % 2]
            yield f"the disk has {free // MB} MB free for {FULL:.0f} s", FULL, lambda free=free: self._fill(free)
            if self._memory is not None:
                yield f"memory is short for {SHORTAGE:.0f} s", SHORTAGE, self._starve
            yield "the node is killed", 0, self._kill_node
            for server in SERVERS:
                yield f"{server} is stopped for {STALL:.0f} s", STALL, lambda server=server: self._stall(server)
            yield "the power fails", 0, self._cut_power

    def say(self, what: str) -> None:
        passed, clients = int(time.monotonic() - self._began), self._clients
        counts = (
            f"{len(clients.notes):,} creates, {len(clients.objects):,} uploads, {clients.refused.total():,} refused"
        )
        print(f"{passed // 60:3}:{passed % 60:02}  {what} ({counts})", file=sys.stderr, flush=True)

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the condition, at most so long; a node that ends meanwhile is counted and started again."""
        end = time.monotonic() + seconds
        while not (over := until()) and time.monotonic() < end:
            self._look()
            time.sleep(0.2)
        return over

    def settle(self, name: str) -> None:
        """Wait until changes and uploads are accepted again."""
        notes, objects = len(self._clients.notes), len(self._clients.objects)
        began = time.monotonic()
        if self.wait(
            RECOVERY, lambda: len(self._clients.notes) > notes + 5 and len(self._clients.objects) > objects + 2
        ):
            self.say(f"accepted again after {time.monotonic() - began:.0f} s")
        else:
            self._report.stuck.append(f"{name}: {self._problem()}")
            self.say(f"not accepted again: {self._report.stuck[-1]}")
        self.wait(QUIET)

    def _problem(self) -> str:
        try:
            status = self._node.status()
        except Exception as error:
            return f"the node does not answer: {error}"
        errors = [f"{app['name']} {app['state']}: {app['error']}" for app in status["apps"] if app["error"]]
        return "; ".join([status["problem"], *errors])

    def _look(self) -> None:
        code = self._node.process.poll()
        if code is None:
            return
        if code == -signal.SIGKILL and self._memory is not None and self._report.shortages:
            self.say("the kernel killed the node for lack of memory; it is started again, as a service would be")
        elif self._starts:
            self._report.ended += 1
            self.say(f"THE NODE ENDED with {code}; it logged:\n{self._node.log.read_text()[-3000:]}")
        self._node.kill()
        self._start()

    def _start(self) -> None:
        """A node that does not start is started again later, as a service would be."""
        try:
            self._node.start()
            self._starts = True
        except AssertionError as error:
            if self._starts:
                self._report.ended += 1
                self.say(f"THE NODE DOES NOT START: {error}")
            self._starts = False

    def _kill(self, server: str) -> None:
        os.kill(process_of(self._node, *SERVERS[server]), signal.SIGKILL)
        self._report.kills += 1

    def _kill_node(self) -> None:
        self._node.kill()
        self._report.kills += 1
        self._start()

    def _cut_power(self) -> None:
        self._node.cut_power()
        self._report.power_cuts += 1
        self._start()

    def _stall(self, server: str) -> None:
        pid = process_of(self._node, *SERVERS[server])
        with taken_back(lambda: os.kill(pid, signal.SIGCONT)):
            os.kill(pid, signal.SIGSTOP)
            self.wait(STALL)
        self._report.stalls += 1

    def _fill(self, free: int) -> None:
        with taken_back(self._node.free):
            self._node.leave_free(free)
            self.wait(FULL)
        self._report.full_disks += 1

    def _starve(self) -> None:
        assert self._memory is not None
        self._report.shortages += 1
        killed = self._memory.killed()
        with taken_back(self._memory.loosen):
            self.say(f"the limit is {self._memory.tighten() // MB} MB")
            self.wait(SHORTAGE)
            self._report.out_of_memory += max(0, self._memory.killed() - killed)


@contextmanager
def taken_back(undo: Callable[[], object]) -> Iterator[None]:
    """Undo a fault however its time ends."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the node has ended a server that did not answer
            undo()
