"""Attacks by trying credentials: guessing, filling the audit log, and keeping the owner out by wrong ones."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.integration.node.front import TOKEN, FrontDoor
from tests.node_process import NodeProcess, wait_until

# The least time that this number of wrong ones in a row takes: five are answered at once, then one a second.
ROW, SECONDS = 8, 2.0


async def form(front: FrontDoor, token: str) -> int:
    async with front.request("/signin", method="POST", signed_in=False, data={"token": token}) as answer:
        assert ("Set-Cookie" in answer.headers) == (answer.status == 303)
        return answer.status


async def ask(front: FrontDoor, token: str, **headers: str) -> int:
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with front.request("/graphql", signed_in=False, headers=sent) as answer:
        return answer.status


async def test_attack_no_number_of_wrong_credentials_locks_the_owner_out(front: FrontDoor) -> None:
    async with AsyncExitStack() as stack:
        wrong = [asyncio.create_task(form(front, f"owner_wrong{n}")) for n in range(40)]
        wrong += [asyncio.create_task(ask(front, f"owner_wrong{n}")) for n in range(40)]
        stack.callback(lambda: [task.cancel() for task in wrong])
        await asyncio.wait(wrong, return_when=asyncio.FIRST_COMPLETED)
        assert await form(front, TOKEN) == 303
        async with front.request(front.link(), signed_in=False) as answer:
            assert answer.status == 303 and "Set-Cookie" in answer.headers
        assert await ask(front, TOKEN) == await ask(front, "device_right") == 200
        assert not all(task.done() for task in wrong), "the right ones did not wait for the wrong ones"


@pytest.mark.parametrize("way", ["form", "bearer", "link"])
async def test_attack_wrong_credentials_in_a_row_are_slowed_down(front: FrontDoor, way: str) -> None:
    began = time.monotonic()
    for number in range(ROW):
        if way == "form":
            assert await form(front, f"owner_wrong{number}") == 403
        elif way == "bearer":
            assert await ask(front, f"device_wrong{number}") == 401
        else:
            async with front.request(f"/signin?code=wrong{number}", signed_in=False) as answer:
                assert answer.status == 403
    assert time.monotonic() - began > SECONDS


async def test_attack_a_made_up_sender_buys_no_more_tries(front: FrontDoor) -> None:
    began = time.monotonic()
    for number in range(ROW):
        sender = f"198.51.100.{number}"
        forged = {"X-Forwarded-For": sender, "X-Real-IP": sender, "Forwarded": f"for={sender}"}
        assert await ask(front, f"owner_wrong{number}", **forged) == 401
    assert time.monotonic() - began > SECONDS


async def test_attack_wrong_bearer_tokens_stand_in_the_audit_log_without_filling_it(node: NodeProcess) -> None:
    async def once(client: aiohttp.ClientSession, number: int) -> int:
        headers = {"Authorization": f"Bearer device_wrong{number}"}
        async with client.post(f"{node.address}/graphql", headers=headers, json={"query": "{ revision }"}) as answer:
            return answer.status

    async with aiohttp.ClientSession() as client:
        assert set(await asyncio.gather(*(once(client, number) for number in range(80)))) == {401}

    def told() -> list[dict[str, object]]:
        records = node.graphql('{ audit(kind: "web", first: 200) }')["audit"]
        found = [one for one in records if "a wrong bearer token" in one["what"]]
        return found if sum(one.get("count", 1) for one in found) == 80 else []

    records = await asyncio.to_thread(wait_until, told, seconds=30, what="80 wrong tokens in the audit log")
    assert len(records) <= 40 and all("127.0.0.1" in one["what"] for one in records)
    assert not any("device_wrong" in str(one) for one in records), "what was tried is not written down"
