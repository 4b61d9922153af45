"""kill -9 between the steps of signing in, signing out and changing the credential: each has happened or not, and no session is half open.

The node kills itself at a step that a test could not hit in time: just before the event is written, and after it, before the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.graph.command import Commands
from tests.browsing import Browsing, open_browsing
from tests.crashes.quick_node import Forked, QuickNode, run
from tests.forked import FORKS


class DyingNode(QuickNode):
    """Dies `before` or `after` the next event that is written while the file `dies` exists, as the file says."""

    def launch(self, arguments: list[str]) -> Forked:
        said, theirs = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=run_dying, args=(arguments, theirs, self.log, self.dies), daemon=True)
        process.start()
        theirs.close()
        return Forked(process, os.fdopen(os.dup(said.fileno())))

    @property
    def dies(self) -> Path:
        return self.data.parent / "dies"


def run_dying(arguments: list[str], said: Connection, log: Path, dies: Path) -> None:
    write: Callable[..., Any] = Commands.write

    async def write_or_die(self: Commands, *args: Any, **more: Any) -> Any:
        moment = dies.read_text() if more.get("urgent") and dies.exists() else ""
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        revision = await write(self, *args, **more)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return revision

    Commands.write = write_or_die  # type: ignore[method-assign]
    run(arguments, said, log)


@pytest.fixture
async def node(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[DyingNode]:
    """Always at the same address: a link is valid only for that."""
    node = DyingNode(tmp_path / "node", "--listen", f"127.0.0.1:{unused_tcp_port}")
    await asyncio.to_thread(node.start)
    yield node
    await asyncio.to_thread(node.stop)


@contextlib.asynccontextmanager
async def dying(node: DyingNode, moment: str) -> AsyncIterator[None]:
    """Requests within the block get no answer, as the node dies of them; after the block, the node runs again."""
    node.dies.write_text(moment)
    with pytest.raises(aiohttp.ClientError):
        yield
    await asyncio.to_thread(node.process.wait, 30)
    node.dies.unlink()
    await asyncio.to_thread(node.start)


async def signed_in(node: DyingNode, browser: Browsing) -> Browsing:
    link = (await asyncio.to_thread(node.json, "signin-link", "--json"))["link"]
    assert (await browser.visit(link))[0] == 200
    return browser


async def sessions(node: DyingNode) -> list[dict[str, Any]]:
    return await asyncio.to_thread(node.json, "owner", "sessions", "--json")


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_a_link_is_redeemed_it_was_used_or_not(node: DyingNode, moment: str) -> None:
    async with open_browsing(node.address) as browser:
        link = (await asyncio.to_thread(node.json, "signin-link", "--json"))["link"]
        async with dying(node, moment):
            await browser.visit(link)
        assert not browser.cookies[browser.host()]
        if moment == "before":
            assert (await browser.visit(link))[0] == 200 and len(await sessions(node)) == 1
            return
        assert (await browser.visit(link))[0] == 403, "it is used up, although no browser has its session"
        assert len(await sessions(node)) == 1, "which the owner sees, and can end"
        await signed_in(node, browser)
        await asyncio.to_thread(node.cli, "owner", "end", "--all")
        assert await sessions(node) == [] and await browser.status() == 401


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_signing_out_the_session_has_ended_or_not(node: DyingNode, moment: str) -> None:
    async with open_browsing(node.address) as browser:
        await signed_in(node, browser)
        async with dying(node, moment):
            await browser.ask("POST", browser.host(), "/_pcloud/signout")
        assert await browser.status() == (200 if moment == "before" else 401)
        assert len(await sessions(node)) == (1 if moment == "before" else 0)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_kill_during_credential_change_leaves_one_valid(node: DyingNode, moment: str) -> None:
    """Killed after the change, the owner does not have the new credential: a reset on the machine makes another."""
    change = "mutation($present: String!) { changeCredential(present: $present) }"
    bearer = {"Authorization": f"Bearer {node.token}"}
    body = {"query": change, "variables": {"present": node.token}}
    async with open_browsing(node.address) as browser:
        await signed_in(node, browser)
        async with dying(node, moment):
            await browser.ask("POST", browser.host(), "/graphql", json=body)
        old = (await browser.ask("POST", browser.host(), "/graphql", bearer, json={"query": "{ revision }"}))[0]
        assert (old, await browser.status()) == ((200, 200) if moment == "before" else (401, 401))
        new = (await asyncio.to_thread(node.json, "owner", "reset", "--json"))["credential"]
        assert await browser.status() == 401
        form = {"token": new}
        assert (await browser.ask("POST", browser.host(), "/signin", data=form))[0] == 303
        assert await browser.status() == 200
