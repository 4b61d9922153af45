"""Attacks on the bus, with an app's own user and without one: nats-server logs what it refuses, and the audit log records it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from core.apps.process.folders import AppFolders
from pcloud.errors import PCloudError
from tests.attacks.conftest import Cloud
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("others_are_served")


def publish_to(subject: str, reply: str = "") -> list[str]:
    from attacker.bus import Bus  # type: ignore[import-not-found]

    bus = Bus()
    bus.publish(subject, b"forged", reply)
    return bus.settle()


def subscribe_to(subject: str, queue: str) -> list[str]:
    from attacker.bus import Bus

    bus = Bus()
    bus.subscribe(subject, queue)
    return bus.settle()


@pytest.mark.parametrize(
    "subject",
    [
        "graph.other.Note.a",
        "graph.core.App.attacker",
        "$JS.API.INFO",
        "$JS.API.STREAM.PURGE.GRAPH",
        "$JS.API.STREAM.MSG.GET.GRAPH",
        "$JS.ACK.GRAPH.trigger.1.1.1.1.0",
        "$KV.FORGETTING.x",
        "$O.ARCHIVES.C.x",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.USER.INFO",
        "$SRV.PING",
        "call.other.secret",
        "call.attacker.attack",
        "work.other.secret.1",
        "run.other.secret.1",
        "audit.call",
        "_INBOX.core.other.0123456789abcdef0123456789abcdef",
        "_INBOX.x",
    ],
)
def test_an_attack_by_publishing_is_refused_and_written_down(cloud: Cloud, subject: str) -> None:
    [error] = cloud.attack(publish_to, subject)
    assert error.startswith("Permissions Violation for Publish")
    assert cloud.audited(kind="bus", target=subject, what="publish")["outcome"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("subject", "queue"),
    [
        (">", ""),
        (">", "attacker"),
        ("*", ""),
        ("graph.>", ""),
        ("$JS.>", ""),
        ("$SYS.>", ""),
        ("call.>", ""),
        ("call.>", "attacker"),
        ("call.*.secret", "attacker"),
        ("call.other.>", ""),
        ("call.other.>", "other"),
        ("call.other.secret", "attacker"),
        ("call.attacker.>", ""),
        ("_INBOX.core.>", ""),
        ("_INBOX.core.attacker.>", ""),
        ("_INBOX.>", "attacker"),
    ],
)
def test_an_attack_by_listening_is_refused_and_written_down(cloud: Cloud, subject: str, queue: str) -> None:
    [error] = cloud.attack(subscribe_to, subject, queue)
    assert error.startswith("Permissions Violation for Subscription")
    assert cloud.audited(kind="bus", target=subject, what="listen")["outcome"] == "FORBIDDEN"


def test_an_attack_by_a_reply_that_jetstream_would_take_purges_nothing(cloud: Cloud) -> None:
    """With one account for all, an answer to the attacker would have purged the stream."""
    events = cloud.status()["events"]
    for reply in (
        "$JS.API.STREAM.PURGE.GRAPH",
        "$JS.API.STREAM.DELETE.GRAPH",
        "graph.other.Note.a",
        "$SYS.REQ.SERVER.PING",
    ):
        cloud.attack(publish_to, "_INBOX.core.attacker.0123456789abcdef0123456789abcdef", reply)
    cloud.serves_others()
    assert cloud.status()["events"] == events


def test_an_attack_on_another_apps_answer_is_refused(cloud: Cloud) -> None:
    """Even with the token of a call in progress."""

    def answer_as_other() -> list[str]:
        import os

        from attacker.bus import Bus

        token = os.environ["CALL_REPLY"].rpartition(".")[2]
        bus = Bus()
        for app in ("other", "other.x", "*", ">"):
            bus.publish(f"_INBOX.core.{app}.{token}", b'{"result": "forged"}', headers={"Pcloud-Status": "ok"})
        return bus.settle()

    errors = cloud.attack(answer_as_other)
    assert len([error for error in errors if error.startswith("Permissions Violation for Publish")]) == 4


def test_an_attack_by_guessing_the_tokens_of_calls_answers_none(cloud: Cloud) -> None:
    """Own replies may be published, and those without a request are dropped. The call that carries the attack is in progress meanwhile."""

    def guess() -> int:
        import os
        import secrets

        from attacker.bus import Bus

        mine = os.environ["CALL_REPLY"]
        assert len(mine.rpartition(".")[2]) == 32
        bus = Bus()
        near = [f"{int(mine.rpartition('.')[2], 16) + step & (1 << 128) - 1:032x}" for step in range(-500, 500) if step]
        for token in [
            *near,
            *(secrets.token_hex(16) for _ in range(1000)),
            "",
            "0" * 32,
            mine.rpartition(".")[2][:-1],
            "x" * 3000,
        ]:
            if token:
                bus.publish(f"_INBOX.core.attacker.{token}", b'{"result": "forged"}', headers={"Pcloud-Status": "ok"})
        assert bus.settle() == []
        return len(near)

    assert cloud.attack(guess) == 999


def test_an_attack_by_answering_twice_or_with_nonsense_hurts_the_attacker_alone(cloud: Cloud) -> None:
    def answer_wrongly() -> str:
        import os

        from attacker.bus import Bus

        bus, reply = Bus(), os.environ["CALL_REPLY"]
        bus.publish(reply, b"\xff\x00{" * 1000, headers={"Pcloud-Status": "ok"})
        bus.publish(reply, b'{"result": 2}', headers={"Pcloud-Status": "ok", "Status": "503"})
        bus.publish(reply, b"[" * 100_000, headers={"Pcloud-Status": "error"})
        bus.settle()
        return "done"

    with pytest.raises(Exception, match="attacker/attack"):
        cloud.attack(answer_wrongly)


def test_an_attack_on_the_servers_users_opens_nothing_and_is_written_down(cloud: Cloud) -> None:
    def sign_in() -> list[str]:
        import base64

        from attacker import ed25519
        from attacker.bus import Bus, crc16

        public = bytes([20 << 3]) + ed25519.public_key(b"\1" * 32)
        stranger = base64.b32encode(public + crc16(public).to_bytes(2, "little")).decode().rstrip("=")
        said = []
        for options in (
            {"user": "core", "pass": "core"}, {"user": "dispatcher", "pass": ""}, {"user": "operator"}, {"auth_token": "x"},
            {"nkey": stranger, "sig": base64.urlsafe_b64encode(b"\0" * 64).decode()}, {"jwt": "a.b.c"}, {"user": "x" * 4000, "pass": "y"},
        ):  # fmt: skip
            bus = Bus(**options)
            try:
                bus.publish("graph.a.b.c", b"x")
                bus.settle()
                said.append("let in")
            except (EOFError, OSError):
                said.append(bus.refused[0] if bus.refused else "cut")
        return said

    assert "let in" not in cloud.attack(sign_in)
    assert cloud.audited(app="", kind="bus", what="not let in")["actor"] == "anyone"


def test_an_attack_by_a_message_of_ten_megabytes_cuts_the_attacker_alone(cloud: Cloud) -> None:
    def send_huge() -> str:
        from attacker.bus import Bus

        bus = Bus()
        try:
            bus.publish("_INBOX.core.attacker.0123456789abcdef0123456789abcdef", b"x" * 10_000_000)
            bus.settle()
        except OSError:
            return "cut"
        except EOFError:
            return bus.refused[0] if bus.refused else "cut"
        return "taken"

    assert cloud.attack(send_huge) in ("cut", "Maximum Payload Violation")
    assert cloud.audited(kind="bus", what="too large")["outcome"] == "REJECTED"


def test_an_attack_by_a_line_without_end_cuts_the_attacker_alone(cloud: Cloud) -> None:
    def send_line() -> str:
        from attacker.bus import Bus

        bus = Bus()
        try:
            for _ in range(1000):
                bus.send(b"PUB " + b"x" * 10_000)
            bus.settle()
        except (EOFError, OSError):
            return "cut"
        return "taken"

    assert cloud.attack(send_line) == "cut"


def test_an_attack_on_the_audit_log_by_a_clients_name_accuses_no_other_app(cloud: Cloud) -> None:
    """A client's name is written to the server's log: it is quoted there, whatever it contains."""

    def lie() -> list[str]:

        from attacker.bus import Bus

        line = '[1] 2026/01/01 00:00:00.000000 [ERR] 127.0.0.1:1 - cid:1 - "x" - "APPS/user:other" - Publish Violation - Subject "lie"'
        for name in (f"\n{line}\n", f'"\r\n{line}', 'x" - "APPS/user:other" - Publish Violation - Subject "lie', line):
            bus = Bus(name=name)
            bus.publish("graph.told.truth")
            bus.settle()
        return bus.refused

    cloud.attack(lie)
    cloud.audited(kind="bus", target="graph.told.truth")
    records = cloud.graphql('{ audit(first: 500, kind: "bus") }')["audit"]
    assert not [record for record in records if record["target"] == "lie" or record["actor"] in ("other", "app:other")]


def test_an_attack_by_a_flood_of_refusals_stops_no_bus_and_fills_no_audit_log(cloud: Cloud) -> None:
    def flood() -> int:
        from attacker.bus import Bus

        bus = Bus()
        for batch in range(50):
            bus.send(b"".join(b"PUB graph.flood.%d.%d 0\r\n\r\n" % (batch, number) for number in range(1000)))
        return len(bus.settle())

    before = cloud.graphql('{ audit(first: 1, kind: "bus") }')["audit"][0]["id"]
    cloud.attack(flood)
    cloud.serves_others()
    cloud.audited(kind="bus", target="graph.flood.")
    after = cloud.graphql('{ audit(first: 1, kind: "bus") }')["audit"][0]["id"]
    assert int(after) - int(before) < 200


def test_an_attack_by_a_flood_of_answers_does_not_delay_others(cloud: Cloud) -> None:
    """It may publish there; so core may only listen for answers to its own requests."""

    def flood() -> None:
        import os
        import time

        from attacker.behind import stays_behind
        from attacker.bus import Bus

        if not stays_behind():
            return
        subject = os.environ["CALL_REPLY"]
        piece = b"".join(b"PUB %s%d 1\r\nx\r\n" % (subject[:-1].encode(), number % 10) for number in range(10_000))
        bus, until = Bus(name="flood"), time.monotonic() + 6
        while time.monotonic() < until:
            bus.send(piece)
        os._exit(0)

    with suppress(PCloudError):  # its own answer may be among those that it makes up
        cloud.attack(flood)
    for _ in range(5):
        cloud.serves_others()


def withdraw(cloud: Cloud, app: str) -> None:
    async def ask(client: Any) -> None:
        grant = (await client.ask("GET", f"/apps/{app}"))["grants"][0]
        await client.ask("POST", f"/apps/{app}/grants/{grant['id']}", json_body={"approved": False})

    cloud._with_client(ask)


@pytest.mark.parametrize("how", ["withdrawn", "removed"])
async def test_an_attack_with_a_stopped_apps_key_ends_only_its_connections(cloud: Cloud, how: str) -> None:
    """Its user goes by a reload, even if its key was copied."""
    await asyncio.to_thread(cloud.install_archive, cloud.installed("guest"), hand_over=True)
    async with AsyncExitStack() as stack:
        thief, other = [await stack.enter_async_context(stolen(cloud, app)) for app in ("guest", "other")]
        if how == "withdrawn":
            await asyncio.to_thread(withdraw, cloud, "guest")
        else:
            await asyncio.to_thread(cloud.cli, "app", "remove", "guest", "--yes")
        async with asyncio.timeout(PATIENCE):
            await thief.cut.wait()
        await other.flush()
        assert other.is_connected and not other.cut.is_set()
        again = Thief()
        with pytest.raises(NatsError):
            await again.connect(thief.address, nkeys_seed_str=thief.seed, allow_reconnect=False, error_cb=again.ignore)
    if how == "withdrawn":
        await asyncio.to_thread(cloud.cli, "app", "remove", "guest", "--yes")


class Thief(Client):
    """A connection with an app's key from outside its sandbox. `cut`: the server has ended it."""

    address = seed = ""

    def __init__(self) -> None:
        super().__init__()
        self.cut = asyncio.Event()

    async def lost(self) -> None:
        self.cut.set()

    async def ignore(self, error: Exception) -> None:
        pass


@asynccontextmanager
async def stolen(cloud: Cloud, app: str) -> AsyncIterator[Thief]:
    thief = Thief()
    thief.address = (await asyncio.to_thread(cloud.status))["nats"]
    thief.seed = AppFolders.of(cloud.data / "apps", app).bus_seed.read_text().strip()
    await thief.connect(
        thief.address,
        nkeys_seed_str=thief.seed,
        allow_reconnect=False,
        disconnected_cb=thief.lost,
        error_cb=thief.ignore,
    )
    try:
        yield thief
    finally:
        await thief.close()
