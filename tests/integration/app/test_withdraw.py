"""A withdrawn grant on a whole node: the view changes at once, and its subscribers are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.access.grant import grant_id
from core.apps import packed
from pcloud.errors import PCloudError
from tests.node_process import NodeProcess
from tests.waiting import PATIENCE

NOTES = "name: notes\nversion: 1.0.0\nschema: schema.graphql\n"
READER = "name: {name}\nversion: 1.0.0\nuses: [{{read: notes/Note, optional: true, reason: to count them}}]\n"
QUERY = "{ queryNote { id } }"
GRANT = grant_id("reader", "read", "notes/Note")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node") as node:
        for name, manifest in (("notes", NOTES), ("reader", READER), ("other", READER)):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "app.yaml").write_text(manifest.format(name=name))
            if name == "notes":
                (folder / "schema.graphql").write_text("type Note { text: String! }")
            node.install_archive(packed(folder).data)
        yield node


async def subscribed(session: aiohttp.ClientSession, node: NodeProcess, app: str) -> aiohttp.ClientWebSocketResponse:
    """A subscription to notes through the eyes of an app, which has begun."""
    headers = {"Authorization": f"Bearer {node.token}", "Host": node.address.removeprefix("http://")}
    address = node.address.replace("localhost", "127.0.0.1")
    socket = await session.ws_connect(
        f"{address}/graphql/{app}",
        headers=headers,
        protocols=["graphql-transport-ws"],
        timeout=aiohttp.ClientWSTimeout(5),
    )
    await socket.send_json({"type": "connection_init"})
    assert (await socket.receive_json())["type"] == "connection_ack"
    await socket.send_json(
        {"type": "subscribe", "id": "1", "payload": {"query": "subscription { noteEvents { kind } }"}}
    )
    await socket.send_json({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"
    return socket


async def test_a_withdrawn_grant_changes_the_view_and_cuts_who_looks_through_it(node: NodeProcess) -> None:
    assert node.graphql(QUERY, app="reader") == {"queryNote": []}
    async with aiohttp.ClientSession() as session:
        cut, kept = await subscribed(session, node, "reader"), await subscribed(session, node, "other")
        assert "may no longer see all notes that notes keeps" in node.cli("app", "revoke", "reader", GRANT[:10]).stderr
        async with asyncio.timeout(PATIENCE):
            last = [message async for message in cut]
        assert cut.closed and not any("next" in str(message.data) for message in last)
        await kept.send_json({"type": "ping"})
        assert (await kept.receive_json())["type"] == "pong", "others are not cut off"
        with pytest.raises(PCloudError, match="queryNote"):
            node.graphql(QUERY, app="reader")
        assert node.graphql(QUERY, app="other") == {"queryNote": []}
        node.cli("app", "grant", "reader", "notes/Note")
        assert node.graphql(QUERY, app="reader") == {"queryNote": []}


def test_the_command_line_shows_an_app_its_grants_and_its_steps(node: NodeProcess) -> None:
    shown: dict[str, Any] = node.json("app", "show", "reader", "--json")
    assert shown["state"] == "RUNNING" and shown["previous"] is None
    assert [grant["reason"] for grant in shown["grants"]] == ["to count them"]
    assert shown["history"][0]["state"] == "INSTALLING" and shown["history"][-1]["step"] == "running"
    assert "see all notes that notes keeps" in node.cli("app", "grants", "reader").stdout
    assert "approved: see all notes that notes keeps" in node.cli("app", "show", "reader").stdout
    for words, code in (
        (("rollback", "reader", "--yes"), 4), (("upgrade", str(node.data), "--yes"), 2), (("revoke", "reader", "zzz"), 3),
        (("pause", "missing"), 3), (("grants", "missing"), 3),
    ):  # fmt: skip
        assert node.cli("app", *words, check=False).returncode == code, words
    node.cli("app", "pause", "reader")
    assert node.json("app", "show", "reader", "--json")["error"] == "you paused it"
    node.cli("app", "resume", "reader")
    assert node.json("app", "show", "reader", "--json")["state"] == "RUNNING"
