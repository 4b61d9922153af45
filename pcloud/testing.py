"""Runs an app on a real node within a test: the installed `pcloud up` on a temporary folder.

    from pcloud.testing import Cloud, cloud

    def test_words_are_counted(cloud: Cloud) -> None:
        app = cloud.install(Path(__file__).parent.parent)
        cloud.graphql('mutation { addWordCounter_Note(input: [{text: "one two"}]) { count } }')
        cloud.wait_for_runs(app)

`cloud` is a session fixture: one node for all tests that import it. All access goes through the node's own
administration socket, which makes the test its owner. This module neither imports the node's code nor reaches into the
node.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from pcloud.errors import Forbidden, PCloudError, Unavailable, error_from_code
from pcloud.gateway import Gateway, fail_for
from pcloud.graph import Graph
from pcloud.local_node import LocalNode, local_node
from pcloud.packing import packed_folder
from pcloud.revision import Revision
from pcloud.subject import type_name

__all__ = ["Cloud", "cloud", "open_cloud"]

POLL = 0.02
RUNS = "query($app: String) { runs(app: $app, first: 1000) }"
OVER = ("DONE", "FAILED")

Value = TypeVar("Value")


class Cloud:
    """A running node, made by `open_cloud`, or by the fixture `cloud`."""

    def __init__(self, node: LocalNode, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self._loop = loop
        self._gateway = Gateway(f"unix://{node.admin_socket}")
        self._graph = Graph(self._gateway)
        self._installed = dict[str, bytes]()

    def install(self, app: Path | bytes, *, approve: Sequence[str] | None = None) -> str:
        """Install an app's folder or archive and return its name. `approve`: the ids of the grants to give; by default
        all of them. Bundled apps that it needs are installed first. Installing the same archive again changes nothing.
        Raises an error of `pcloud.errors`.

        The app runs in the sandbox if the machine supports it, otherwise without one.
        """
        archive = app if isinstance(app, bytes) else packed_folder(app) if app.is_dir() else app.read_bytes()
        for name, known in self._installed.items():
            if known == archive:
                return name
        grants = "all" if approve is None else ",".join(approve)
        try:
            name = self._run(self._install(archive, grants, unconfined=False))
        except Forbidden:
            name = self._run(self._install(archive, grants, unconfined=True))
        self._installed[name] = archive
        return name

    def remove(self, app: str, *, forget: bool = False) -> None:
        """Remove an app. Its stored data stays, or with `forget` is deleted for good."""
        self._installed.pop(app, None)
        self._run(self._follow("DELETE", f"/apps/{app}?forget={str(forget).lower()}"))

    def graphql(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run an operation with the owner's rights and names (`queryWordCounter_Note`) and return its data. A mutation
        returns once its events are stored."""
        return self._run(self._graph.query(document, variables))

    def call(
        self, target: str, arguments: Mapping[str, Any] | None = None, /, *, actions: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Any:  # fmt: skip
        """Call `app/action` or `role:ROLE/action` as the owner and return its result. `actions`: those to hand over, by
        argument. Raises the error that the action raised."""
        body = {"target": target, "args": {**(arguments or {}), **named}, "actions": actions or {}}
        answer = self._run(self._gateway.post("/call", body, {}, timeout=120.0, repeatable=False))
        fail_for(answer)
        return answer.body.get("result")

    def runs(self, app: str) -> list[dict[str, Any]]:
        """The runs of an app's actions that triggers and `send` started, newest first."""
        return self.graphql(RUNS, {"app": app})["runs"]

    def wait_for_runs(self, app: str, count: int = 1, *, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Wait until at least `count` runs of the app have ended and none is in progress; return all of them, newest
        first.

        A FAILED run raises `AssertionError` with its error and its traceback.
        """

        def over() -> list[dict[str, Any]]:
            runs = self.runs(app)
            for run in runs:
                if run["state"] == "FAILED":
                    error: dict[str, Any] = run.get("error") or {}
                    trace = f"\n{error.get('traceback')}" if error.get("traceback") else ""
                    raise AssertionError(f"{app}/{run['action']} failed: {error.get('message', '')}{trace}")
            return runs if len(runs) >= count and all(run["state"] in OVER for run in runs) else []

        return self.wait_for(over, f"{count} finished runs of {app}", seconds=seconds)

    def events(self, type: str, count: int = 1, *, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Wait for the first `count` events of a type (`word-counter/Note`) since the node began and return them: each
        with `kind`, `id`, `actor`, `revision` and the `changed` fields."""
        return self._run(self._events(type, count, seconds))

    def log(self, app: str, lines: int = 200) -> list[str]:
        """The last lines of an app's output."""
        return self._run(self._ask("GET", f"/apps/{app}/logs?lines={lines}"))

    def wait_for(self, condition: Callable[[], Value], what: str = "the condition", *, seconds: float = 30.0) -> Value:
        """Call `condition` until its result is true and return it; raises `AssertionError` with `what` after
        `seconds`."""
        until = time.monotonic() + seconds
        while True:
            if value := condition():
                return value
            if time.monotonic() > until:
                raise AssertionError(f"{what}: not within {seconds:g} s")
            time.sleep(POLL)

    def close(self) -> None:
        """Close the connection; the node keeps running."""
        self._run(self._gateway.close())

    def _run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run in a separate thread, so that tests with an event loop can use this too."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _install(self, archive: bytes, grants: str, *, unconfined: bool) -> str:
        """Install the bundled apps that it needs first."""
        review = await self._ask("POST", "/apps/review", data=archive)
        for name in review["needed"]:
            bundled = await self._ask("POST", f"/apps/review?bundled={name}")
            await self._follow("POST", "/apps", params={"archive": bundled["archive"], "approve": "all"})
        query = {"archive": review["archive"], "approve": grants, "unconfined": str(unconfined).lower()}
        await self._follow("POST", "/apps", params=query)
        return str(review["name"])

    async def _follow(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The result in the last line of a streamed answer; raises the error if that line holds one."""
        record = dict[str, Any]()
        async with self._gateway.session.request(method, f"http://pcloud{path}", **request) as answer:
            await _raise_for(answer)
            async for line in answer.content:
                record = json.loads(line)
        if error := record.get("error"):
            raise error_from_code(error["code"], error["message"])
        if "result" not in record:
            raise Unavailable("the node ended this without a reason: look at its log")
        return record["result"]

    async def _ask(self, method: str, path: str, *, data: bytes | None = None) -> Any:
        async with self._gateway.session.request(method, f"http://pcloud{path}", data=data) as answer:
            await _raise_for(answer)
            return await answer.json(content_type=None)

    async def _events(self, type: str, count: int, seconds: float) -> list[dict[str, Any]]:
        name = type_name(type)
        field = "".join(part.capitalize() for part in name.app.split("-"))
        field = f"{field[0].lower()}{field[1:]}_{name.type}Events"
        document = f"subscription($after: String) {{ {field}(after: $after) {{ kind id revision actor changed }} }}"
        found = list[dict[str, Any]]()
        epoch = (await self._ask("GET", "/status"))["epoch"]
        try:
            async with asyncio.timeout(seconds):
                async for data in self._graph.subscribe(document, {"after": str(Revision(epoch, 0))}):
                    found.append({**data[field], "kind": str(data[field]["kind"]).lower()})
                    if len(found) >= count:
                        break
        except TimeoutError as error:
            raise AssertionError(f"{len(found)} of {count} events of {type} within {seconds:g} s: {found}") from error
        return found


async def _raise_for(answer: aiohttp.ClientResponse) -> None:
    if answer.status < 400:
        return
    try:
        error = (await answer.json(content_type=None))["errors"][0]
        found = error_from_code(error.get("extensions", {}).get("code", ""), error["message"])
    except (ValueError, KeyError, TypeError):
        found = PCloudError(f"the node answered {answer.status} {answer.reason}")
    raise found


@contextmanager
def open_cloud(*options: str) -> Generator[Cloud]:
    """Run a node on a folder of its own; end and remove it afterwards. Use it for a node per test, or instead of the
    fixture `cloud` without pytest. `options`: for `pcloud up`. Raises `Unavailable` if it does not start."""
    with local_node(*options) as node, _event_loop() as loop:
        cloud = Cloud(node, loop)
        try:
            yield cloud
        finally:
            cloud.close()


@pytest.fixture(scope="session", name="cloud")
def cloud() -> Generator[Cloud]:
    """One node for all tests of the session."""
    with open_cloud() as node:
        yield node


@contextmanager
def _event_loop() -> Generator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pcloud.testing", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
