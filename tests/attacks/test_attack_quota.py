"""Attacks on shared resources: in a person's name an app can't use up more than in its own, nor another app's keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.access.caller import OWNER, Caller
from core.access.quota import Quotas, QuotaSettings
from eventstore import ServerSettings, open_server
from pcloud.errors import Unavailable
from tests.integration.processor.small_core import Call, Core, start_core

MOST = 5
PAGE, EVIL = Caller("person", "owner", through="evil"), Caller("app", "evil")
DIARY = Caller("person", "owner", through="diary")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    """Two apps of one action, each with a limited number of calls; time stands still."""
    quotas = Quotas(QuotaSettings(calls=0.1, calls_burst=MOST), clock=lambda: 0.0)
    async with (
        open_server(ServerSettings(tmp_path / "nats")) as server,
        start_core(server, tmp_path, {}, quotas=quotas) as core,
    ):
        for name, granted in (("evil", (("call", "diary/work"),)), ("diary", ())):
            await core.install({"name": name, "version": "1.0.0", "actions": [{"name": "work"}]}, granted=granted)
            await core.start_app(name, work=done)
        yield core


async def done(call: Call) -> str:
    return call.headers["Pcloud-Caller"]


async def test_attack_calls_of_a_page_count_against_the_quota_of_its_app(core: Core) -> None:
    for number in range(MOST):
        caller = PAGE if number % 2 else EVIL
        assert (await core.calls.call(caller, "evil/work", {})).result == "app:evil"
    for caller in (PAGE, EVIL, Caller("device", "d", "evil", scopes=frozenset({"manage"}))):
        with pytest.raises(Unavailable, match="evil is beyond its quota"):
            await core.calls.call(caller, "evil/work", {})
    for caller in (OWNER, DIARY):
        assert (await core.calls.call(caller, "diary/work", {})).result == caller.authority


async def test_attack_a_key_of_one_app_is_no_key_of_anothers_for_the_same_person(core: Core) -> None:
    """Otherwise a durable call under a guessed key would count as done before it is sent."""
    sent = [await core.calls.send(caller, "diary/work", {}, key="today") for caller in (PAGE, EVIL, DIARY, OWNER)]
    assert len(set(sent)) == len(sent)
    assert sent[2] == await core.calls.send(DIARY, "diary/work", {}, key="today")
