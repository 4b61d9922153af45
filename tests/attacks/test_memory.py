"""How an app tries to fill core's memory: by what it sends, and by what it asks for."""

from __future__ import annotations

import psutil
import pytest

from tests.attacks.conftest import Cloud

pytestmark = pytest.mark.usefixtures("others_are_served")


def resident(cloud: Cloud) -> int:
    """MiB of core's own process."""
    assert cloud.process
    return psutil.Process(cloud.process.pid).memory_info().rss >> 20


@pytest.mark.parametrize(("path", "size"), [("/call/other/greet", 4 * 2**20), ("/graphql", 4 * 2**20)])
def test_an_attack_by_many_large_bodies_that_never_end_fills_no_memory(cloud: Cloud, path: str, size: int) -> None:
    def hold(path: str, size: int) -> int:
        import os
        import socket

        host, _, port = os.environ["PCLOUD_URL"].partition("//")[2].partition(":")
        held = []
        for _ in range(150):
            one = socket.create_connection((host, int(port)), timeout=0.3)
            held.append(one)
            head = f"POST {path} HTTP/1.1\r\nHost: core\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
            try:
                one.sendall(head.encode() + b" " * (size - 10))
            except OSError:
                if len(held) > 60:
                    break
        return len(held)

    before = resident(cloud)
    assert cloud.attack(hold, path, size) > 60
    assert resident(cloud) - before < 400


def test_an_attack_by_asking_for_more_than_fits_into_memory_is_refused(cloud: Cloud) -> None:
    def fill_and_ask() -> dict[str, str]:
        from attacker.door import ask

        for number in range(20):
            notes = [{"text": f"{number} {place} " + "x" * 900_000} for place in range(3)]
            query = "mutation($notes: [AddNoteInput!]!) { addNote(input: $notes) { __typename } }"
            said = ask("POST", "/graphql", {"query": query, "variables": {"notes": notes}})
            assert said[0] == 200, said
        many = " ".join(f"a{number}: text" for number in range(90))
        roots = " ".join(f"r{number}: queryNote(first: 20) {{ text }}" for number in range(40))
        asked = {
            "rows": "{ queryNote(first: 1000) { text } }",
            "aliases": f"{{ queryNote(first: 2) {{ {many} }} }}",
            "roots": f"{{ {roots} }}",
            "few": "{ queryNote(first: 3) { text } }",
        }
        return {name: str(ask("POST", "/graphql", {"query": query}))[-400:] for name, query in asked.items()}

    before = resident(cloud)
    said = cloud.attack(fill_and_ask)
    assert all("too large" in said[name] for name in ("rows", "aliases", "roots")), said
    assert "errors" not in said["few"]
    assert resident(cloud) - before < 400


def test_an_attack_by_answers_that_are_asked_for_and_not_taken_fills_no_memory(cloud: Cloud) -> None:
    def ask_and_leave() -> int:
        import json
        import os
        import socket

        from attacker.door import ask

        for number in range(7):
            notes = [{"text": f"left {number} {place} " + "x" * 900_000} for place in range(3)]
            query = "mutation($notes: [AddNoteInput!]!) { addNote(input: $notes) { __typename } }"
            assert ask("POST", "/graphql", {"query": query, "variables": {"notes": notes}})[0] == 200
        host, _, port = os.environ["PCLOUD_URL"].partition("//")[2].partition(":")
        body = json.dumps({"query": "{ queryNote(first: 20) { text } }"}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: core\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        held = []
        for _ in range(100):
            one = socket.create_connection((host, int(port)), timeout=5)
            one.sendall(head.encode() + body)
            held.append(one)
        held[0].recv(100)
        return len(held)

    before = resident(cloud)
    assert cloud.attack(ask_and_leave) == 100
    assert resident(cloud) - before < 900
