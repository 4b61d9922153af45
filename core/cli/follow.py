"""Follows an app over the administration socket: its events, its runs and its output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.cli.actors import who
from core.cli.client import Client
from core.graph.schema.names import camel, owner_type, small
from core.node.folder import runtime_folder
from pcloud.errors import PCloudError, Unavailable
from pcloud.gateway import Gateway
from pcloud.graph import Graph
from pcloud.manifest import Manifest
from pcloud.revision import Revision

__all__ = ["Follower", "lines_behind"]

POLL = 0.25
LINES = 500
RUNS = "query($app: String) { runs(app: $app, first: 200) }"
FIELDS = "{ __schema { subscriptionType { fields { name } } } }"

Say = Callable[..., None]


class Follower:
    """Reports what has happened since its first `begin`, through each of the app's versions."""

    def __init__(self, client: Client, data: Path, say: Say) -> None:
        self._client = client
        self._say = say
        self._gateway = Gateway(f"unix://{runtime_folder(data) / 'admin.sock'}")
        self._graph = Graph(self._gateway)
        self._tasks = list[asyncio.Task[None]]()
        self._after = ""
        self._runs: dict[str, tuple[str, int]] | None = None
        self._log: list[str] | None = None

    async def begin(self, manifest: Manifest) -> None:
        """Follow this version; call it again for the next version, which may see other types."""
        if not self._after:
            status = await self._client.ask("GET", "/status")
            self._after = str(Revision(status["epoch"], status["events"]))
            await self._look_at_runs(manifest.name)
            await self._look_at_log(manifest.name)
        await self._stop()
        name = manifest.name
        follow = [self._poll(self._look_at_runs, name), self._poll(self._look_at_log, name)]
        follow += [self._events(field) for field in await self._fields(manifest)]
        self._tasks = [asyncio.create_task(one) for one in follow]

    async def end(self) -> None:
        await self._stop()
        await self._gateway.close()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    async def _fields(self, manifest: Manifest) -> list[str]:
        """Return the subscriptions of the app's own types and of those that it asks for, by their names in the owner's view."""
        found = await self._client.graphql(FIELDS)
        type_: dict[str, list[dict[str, str]]] = (
            found["__schema"]["subscriptionType"] or dict[str, list[dict[str, str]]]()
        )
        fields = [field["name"] for field in type_.get("fields", [])]
        used = {use.read or use.write or use.extend for use in manifest.uses} - {""}
        wanted = {f"{small(owner_type(name))}Events" for name in used}
        return [field for field in fields if field in wanted or field.startswith(f"{camel(manifest.name)}_")]

    async def _events(self, field: str) -> None:
        document = (
            f"subscription($after: String) {{ {field}(after: $after) {{ kind id revision actor through changed }} }}"
        )
        after = self._after
        while True:
            with suppress(Unavailable):
                async for data in self._graph.subscribe(document, {"after": after}):
                    event = data[field]
                    after = event["revision"]
                    self._note(after)
                    what = ", ".join(event["changed"])
                    self._say(
                        "event", f"{event['kind'].lower()} {field.removesuffix('Events')} {event['id']} by {who(event)}: {what}",
                        event=event, type=field.removesuffix("Events"),
                    )  # fmt: skip
            await asyncio.sleep(POLL)

    def _note(self, revision: str) -> None:
        """Remember where the next version's subscriptions continue."""
        new = Revision.parse(revision)
        if new.sequence > Revision.parse(self._after).sequence:
            self._after = revision

    async def _poll(self, look: Callable[[str], Coroutine[Any, Any, None]], name: str) -> None:
        while True:
            with suppress(PCloudError):  # also while the app is not running
                await look(name)
            await asyncio.sleep(POLL)

    async def _look_at_runs(self, name: str) -> None:
        runs = (await self._client.graphql(RUNS, {"app": name}))["runs"]
        before, self._runs = self._runs, {run["id"]: (run["state"], run["attempt"]) for run in runs}
        for run in reversed(runs if before is not None else []):
            if before is not None and before.get(run["id"]) != self._runs[run["id"]]:
                failed: dict[str, str] = run.get("error") or dict[str, str]()
                error = failed.get("message", "")
                arguments = " ".join(f"{key}={value}" for key, value in run["args"].items())
                self._say("run", f"{run['action']} {run['state']} {arguments} {error}".strip(), run=run)

    async def _look_at_log(self, name: str) -> None:
        try:
            now = await self._client.ask("GET", f"/apps/{name}/logs?lines={LINES}")
        except PCloudError:
            now = list[str]()  # it does not exist yet
        before, self._log = self._log, now or self._log or []
        for line in lines_behind(before, now) if before is not None else ():
            self._say("log", line)


def lines_behind(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """Return the lines of `now` that came after the lines of `before`."""
    for start in range(max(0, len(before) - len(now)), len(before)):
        if list(before[start:]) == list(now[: len(before) - start]):
            return now[len(before) - start :]
    return now
