"""A real store on a folder of its own, with a recorder in place of core's `send`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).parents[1]
sys.path.insert(0, str(APP))
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from object_store.rights import Callers  # noqa: E402
from object_store.settings import Settings  # noqa: E402
from object_store.store import Store, open_store  # noqa: E402

PATIENCE = 120.0  # seconds
ACTIONS = ("issue-credentials", "get-object", "put-object", "list-objects", "delete-object", "export")


class Recorder:
    """What core would have stored: runs by key, and how often each was sent. While `failure` is set, it is raised
    instead; `failures`: for one object each."""

    def __init__(self) -> None:
        self.runs = dict[str, tuple[str, Mapping[str, Any]]]()
        self.times = Counter[str]()
        self.failure: Exception | None = None
        self.failures = dict[str, Exception]()
        self.attempts = 0
        self._changed = asyncio.Condition()

    async def __call__(self, target: str, arguments: Mapping[str, Any], key: str) -> None:
        self.attempts += 1
        failure = self.failure or self.failures.get(arguments["key"])
        async with self._changed:
            if failure is None:
                self.runs[key] = (target, arguments)
                self.times[key] += 1
            self._changed.notify_all()
        if failure:
            raise failure

    async def until(self, condition: Callable[[Recorder], bool], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    @property
    def keys(self) -> list[str]:
        return [arguments["key"] for _, arguments in self.runs.values()]


class Core:
    """Core's answer to who may call what: every caller every action, except those `withdrawn` (by caller and action).
    `at`: since when."""

    def __init__(self) -> None:
        self.withdrawn = set[tuple[str, str]]()
        self.at = defaultdict[tuple[str, str], int](int)
        self.asked = 0

    async def __call__(self) -> Callers:
        self.asked += 1
        return _Callers(self)

    def withdraw(self, caller: str, *actions: str) -> None:
        self.withdrawn |= {(caller, action) for action in actions}

    def give_again(self, caller: str, *actions: str) -> None:
        for action in actions:
            self.withdrawn.discard((caller, action))
            self.at[caller, action] += 1


class _Callers(dict[str, Any]):
    def __init__(self, core: Core) -> None:
        self._withdrawn, self._at = set(core.withdrawn), dict(core.at)

    def get(self, caller: str, default: Any = None) -> dict[str, int]:
        return {
            action: self._at.get((caller, action), 0) for action in ACTIONS if (caller, action) not in self._withdrawn
        }


@asynccontextmanager
async def running(folder: Path, send: Any, core: Core | None = None, **settings: Any) -> AsyncIterator[Store]:
    async with open_store(Settings(folder, **settings), send, core or Core()) as store:
        task = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
async def store(tmp_path: Path, recorder: Recorder, core: Core) -> AsyncIterator[Store]:
    async with running(tmp_path / "store", recorder, core) as store:
        yield store


async def in_thread(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return await asyncio.to_thread(function, *args, **named)


def client(store: Store, access_key: str = "", secret_key: str = "") -> Any:
    """boto3's client, with the given key pair or the store's own."""
    import boto3
    from botocore.config import Config

    admin = store.server.secrets.admin
    return boto3.client(
        "s3", endpoint_url=store.endpoint, region_name="us-east-1",
        aws_access_key_id=access_key or admin.access_key, aws_secret_access_key=secret_key or admin.secret_key,
        config=Config(retries={"max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE),
    )  # fmt: skip
