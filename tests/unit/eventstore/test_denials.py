"""Denials in nats-server's log: its lines as version 2.15.1 writes them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from eventstore.server.denials import LONGEST_LOOK, follow_denials
from eventstore.server.nats_server_private import Denial, parse_denial
from tests.waiting import PATIENCE

KEY = "UDA6725HTXRDIVBNKFKJUCKMU5SCIZTQDOLJ2XEUYQ5PIYVDGU5VGQI5"
OTHER = "UDMYWB44RTOTH7HIVCNGXCQV6DRPXCSUBY7PHG6TE2FONJSAQ6NBPUH3"
HEAD = "[3563] 2026/11/22 19:07:34.938915 [ERR] 127.0.0.1:51320 - cid:9"


def denied(rest: str, name: str = "v2.16.0:python3", head: str = HEAD) -> str:
    return f'{head} - "{name}" - "APPS/nkey:{KEY}" - {rest}'


@pytest.mark.parametrize(
    ("line", "what", "subject"),
    [
        (denied('Publish Violation - Subject "graph.a.b.c"'), "publish", "graph.a.b.c"),
        (denied('Publish Violation - Subject "a\\"b.c"'), "publish", 'a\\"b.c'),
        (denied('Publish Violation - Reply "_R_.a.b"'), "reply", "_R_.a.b"),
        (denied('Subscription Violation - Subject ">", SID 1'), "subscribe", ">"),
        (denied('Subscription Violation - Subject "call.x.y", Queue: "bad", SID 2'), "subscribe", "call.x.y"),
        (denied("maximum payload exceeded: 10485760 vs 1048576"), "size", "bus"),
        (denied("maximum subscriptions exceeded"), "number", "bus"),
        (denied('Publish Violation - Subject "x"', name='evil\\" - \\"APPS/nkey:UXX'), "publish", "x"),
    ],
)
def test_a_denial_is_the_apps_whose_key_was_proved(line: str, what: str, subject: str) -> None:
    found = parse_denial(line)
    assert found is not None and (found.nkey, found.what, found.subject) == (KEY, what, subject)


@pytest.mark.parametrize("key", [KEY[:-1], f"{KEY}A", f"{KEY[:-1]}1", KEY.lower(), f"A{KEY[1:]}"])
def test_malformed_key_identifies_no_app(key: str) -> None:
    found = parse_denial(denied('Publish Violation - Subject "x"').replace(KEY, key))
    assert found is not None and (found.nkey, found.user, found.subject) == ("", "", "x")


def test_a_client_without_a_name_is_known() -> None:
    found = parse_denial(f'{HEAD} - "APPS/nkey:{KEY}" - Publish Violation - Subject "x"')
    assert found is not None and found.nkey == KEY


def test_an_app_that_calls_itself_another_is_itself() -> None:
    found = parse_denial(denied('Publish Violation - Subject "x"', name=f"APPS/nkey:{OTHER}"))
    assert found is not None and found.nkey == KEY
    found = parse_denial(f'{HEAD} - "APPS/nkey:{OTHER}" - authentication error')
    assert found is not None and (found.nkey, found.what) == ("", "signin")


def test_refused_sign_in_has_no_identity() -> None:
    found = parse_denial(f'{HEAD} - authentication error - Nkey "{OTHER}"')
    assert found is not None and (found.nkey, found.user, found.what) == ("", "", "signin")


def test_client_name_can_not_forge_a_denial() -> None:
    """The server quotes the name that a client gives itself; this is the worst name that fits."""
    forged = f'x\\"\\n{HEAD} - \\"APPS/nkey:{OTHER}\\" - Publish Violation - Subject \\"a\\"'
    assert parse_denial(denied("Something else", name=forged)) is None
    found = parse_denial(denied('Publish Violation - Subject "mine"', name=forged))
    assert found is not None and (found.nkey, found.subject) == (KEY, "mine")


@pytest.mark.parametrize("line", ["", "[1] 2026/11/22 19:07:34.926051 [INF] Server is ready", denied("Slow Consumer")])
def test_other_lines_are_ignored(line: str) -> None:
    assert parse_denial(line) is None


def line(subject: str) -> str:
    return denied(f'Publish Violation - Subject "{subject}"') + "\n"


async def take(denials: object, until: str) -> list[Denial]:
    found: list[Denial] = []
    async with asyncio.timeout(PATIENCE):
        async for some in denials:  # type: ignore[attr-defined]
            found += some
            if found[-1].subject == until:
                return found
    raise AssertionError


async def test_following_survives_rotation_and_counts_repeats(tmp_path: Path) -> None:
    path = tmp_path / "nats.log"
    path.write_text(line("before"))
    async with aclosing(follow_denials(path, look=0.005)) as denials:
        waiting = asyncio.ensure_future(anext(denials))
        while not waiting.done():
            with path.open("a") as log:
                log.write(line("begun"))
            await asyncio.wait([waiting], timeout=0.02)
        assert {denial.subject for denial in waiting.result()} == {"begun"}
        with path.open("a") as log:
            log.write(line("same") * 3 + line("half")[:40])
            path.rename(tmp_path / "nats.log.2026")
            log.write(line("half")[40:] + line("old"))
        path.write_text(line("new"))
        found = [denial for denial in await take(denials, "new") if denial.subject != "begun"]
    assert [(denial.subject, denial.count) for denial in found] == [("same", 3), ("half", 1), ("old", 1), ("new", 1)]


async def test_only_the_newest_part_of_a_flood_is_read(tmp_path: Path) -> None:
    path = tmp_path / "nats.log"
    path.write_text("")
    async with aclosing(follow_denials(path, look=0.005)) as denials:
        waiting = asyncio.ensure_future(anext(denials))
        while not waiting.done():
            with path.open("a") as log:
                log.write(line("begun"))
            await asyncio.wait([waiting], timeout=0.02)
        with path.open("a") as log:
            log.write(line("first") + line("flood") * (3 * LONGEST_LOOK // len(line("flood"))) + line("last"))
        found = await take(denials, "last")
    assert "first" not in {denial.subject for denial in found} and sum(denial.count for denial in found) < 10_000
