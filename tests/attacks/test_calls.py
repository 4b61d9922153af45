"""Attacks by calls and requests at the app's own gateway: asking for what was not granted, and pretending to be another app."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.attacks.conftest import Cloud
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")


def ask(method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    from attacker.door import ask  # type: ignore[import-not-found]

    return ask(method, path, body, headers)


def code(answer: Any) -> tuple[int, str]:
    """Return status and error code of an answer of the gateway or of GraphQL."""
    status, body = answer
    error = body.get("error") or (body.get("errors") or [{}])[0]
    return status, error.get("code") or error.get("extensions", {}).get("code", "")


def graphql(cloud: Cloud, query: str, headers: dict[str, str] | None = None, app: str = "attacker") -> Any:
    return cloud.attack(ask, "POST", "/graphql", {"query": query}, headers or {}, app=app)


@pytest.mark.parametrize("way", ["call", "send"])
@pytest.mark.parametrize(
    "target", ["other/secret", "other/attack", "role:object-storage/usage", "core/anything", "missing/there"]
)
def test_an_attack_by_a_call_without_a_grant_is_forbidden_and_recorded(cloud: Cloud, way: str, target: str) -> None:
    answer = cloud.attack(ask, "POST", f"/{way}/{target}", {"args": {}}, {"Pcloud-Timeout": "3000"})
    assert code(answer) == (403, "FORBIDDEN")
    record = cloud.audited(kind=way, target=target)
    assert (record["actor"], record["outcome"]) == ("app:attacker", "FORBIDDEN")


@pytest.mark.parametrize(
    "target",
    ["other/*", "other/>", "other/greet.x", "*/greet", "other", "other/greet/x", "../other/greet", "%2e%2e/greet", "role:*/x",
     "other/greet%0d%0aPUB", "other/greet%00", "capability:", "action:other/secret", "OTHER/greet", "other/" + "x" * 5000, "x" * 300],
)  # fmt: skip
def test_an_attack_by_a_malformed_target_is_rejected(cloud: Cloud, target: str) -> None:
    status, error = code(cloud.attack(ask, "POST", f"/call/{target}", {"args": {}}, {}))
    assert (status, error) in ((400, "REJECTED"), (403, "FORBIDDEN"), (404, "NOT_FOUND"))


FORGED = {
    "Pcloud-Caller": "person:owner", "Pcloud-Actor": "person:owner", "Pcloud-Through": "other",
    "Pcloud-Cause": "f" * 32, "Pcloud-Depth": "0", "Pcloud-Call": "1",
    "Pcloud-Replay": "true", "Pcloud-Tx": "f" * 32, "Nats-Msg-Id": "1", "Authorization": "Bearer owner_x", "Cookie": "pcloud=x",
    "X-Forwarded-For": "127.0.0.1", "Host": "console.localhost", "Pcloud-App": "other",
}  # fmt: skip


def test_an_attack_by_pretending_to_be_the_owner_calls_as_the_attacker(cloud: Cloud) -> None:
    status, body = cloud.attack(ask, "POST", "/call/other/greet", {"args": {"name": "x"}}, FORGED)
    assert (status, body["result"]["caller"]) == (200, "app:attacker")
    assert cloud.audited(kind="call", target="other/greet", outcome="OK")["actor"] == "app:attacker"
    assert code(cloud.attack(ask, "POST", "/call/other/secret", {"args": {}}, FORGED)) == (403, "FORBIDDEN")


@pytest.mark.parametrize("field", ["actor", "caller", "cause", "run", "app", "through", "headers"])
def test_an_attack_by_pretending_in_the_body_is_rejected(cloud: Cloud, field: str) -> None:
    assert code(cloud.attack(ask, "POST", "/call/other/greet", {"args": {}, field: "owner"}, {})) == (400, "REJECTED")


def test_an_attack_by_forged_actor_and_cause_writes_as_the_attacker_without_a_cause(cloud: Cloud) -> None:
    query = 'mutation { addNote(input: [{text: "forged"}]) { note { id } } }'
    status, body = graphql(cloud, query, FORGED)
    assert status == 200, body
    [note] = body["data"]["addNote"]["note"]
    [entry] = cloud.graphql('query($id: ID!) { nodeHistory(type: "Attacker_Note", id: $id) { actor cause } }', note)[
        "nodeHistory"
    ]
    assert entry["actor"] == "app:attacker" and not entry["cause"]


@pytest.mark.parametrize("token", ["0" * 32, "f" * 32, "x", "x" * 5000, "../..", "*"])
def test_an_attack_by_an_unknown_run_is_forbidden_and_recorded(cloud: Cloud, token: str) -> None:
    assert code(graphql(cloud, "{ __typename }", {"Pcloud-Run": token})) == (403, "FORBIDDEN")
    assert cloud.audited(kind="api", target="run")["outcome"] == "FORBIDDEN"
    assert code(cloud.attack(ask, "POST", "/call/other/greet", {"args": {}}, {"Pcloud-Run": token})) == (
        403,
        "FORBIDDEN",
    )
    assert cloud.audited(kind="call", target="other/greet", outcome="FORBIDDEN")


def test_an_attack_with_another_apps_open_run_is_forbidden(cloud: Cloud) -> None:
    """The other app is betrayed: its token is known while its run is open."""

    def betray() -> None:
        import os
        import time

        from attacker.door import ask

        def graphql(query: str) -> Any:
            return ask("POST", "/graphql", {"query": query})[1]["data"]

        graphql('mutation { addNote(input: [{text: "token ' + os.environ["CALL_RUN"] + '"}]) { count } }')
        until = time.monotonic() + 60
        while (
            time.monotonic() < until and not graphql('{ queryNote(filter: {text: {eq: "done"}}) { id } }')["queryNote"]
        ):
            time.sleep(0.05)

    def tokens() -> list[str]:
        texts = [note["text"] for note in cloud.graphql("{ queryOther_Note { text } }")["queryOther_Note"]]
        return [text.split()[1] for text in texts if text.startswith("token ")]

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(cloud.attack, betray, app="other")
        try:
            [token] = wait_until(tokens)
            assert code(graphql(cloud, "{ __typename }", {"Pcloud-Run": token})) == (403, "FORBIDDEN")
            stolen = cloud.attack(ask, "POST", "/call/other/greet", {"args": {}}, {"Pcloud-Run": token})
            assert code(stolen) == (403, "FORBIDDEN")
        finally:
            graphql(cloud, 'mutation { addNote(input: [{text: "done"}]) { count } }', app="other")
            running.result()


def test_an_attack_with_a_run_that_has_ended_is_forbidden(cloud: Cloud) -> None:
    def own() -> str:
        import os

        return os.environ["CALL_RUN"]

    assert code(graphql(cloud, "{ __typename }", {"Pcloud-Run": cloud.attack(own)})) == (403, "FORBIDDEN")


def test_an_attack_with_a_stolen_capability_is_forbidden(cloud: Cloud) -> None:
    """It is bound to the app that received it."""
    given = cloud.call("other/watch", actions={"webhook": "other/secret"})["args"]["webhook"]
    assert given.startswith("capability:")
    assert cloud.attack(ask, "POST", f"/call/{given}", {"args": {}}, {}, app="other")[0] == 200
    assert code(cloud.attack(ask, "POST", f"/call/{given}", {"args": {}}, {})) == (403, "FORBIDDEN")
    record = cloud.audited(kind="call", target="capability:", outcome="FORBIDDEN")
    assert given.partition(":")[2] not in str(record)


@pytest.mark.parametrize("token", ["0" * 43, "A" * 43, "x" * 20, "_" * 128])
def test_an_attack_with_a_guessed_capability_is_forbidden(cloud: Cloud, token: str) -> None:
    assert code(cloud.attack(ask, "POST", f"/call/capability:{token}", {"args": {}}, {})) == (403, "FORBIDDEN")


@pytest.mark.parametrize("way", ["call", "send"])
def test_an_attack_by_giving_away_what_is_anothers_is_forbidden(cloud: Cloud, way: str) -> None:
    body = {"actions": {"webhook": "other/secret"}}
    assert code(cloud.attack(ask, "POST", f"/{way}/other/watch", body, {})) == (403, "FORBIDDEN")


def test_an_attack_by_another_apps_idempotency_key_neither_reads_nor_stops_it(cloud: Cloud) -> None:
    query = 'mutation { addNote(input: [{text: "keyed"}]) { note { id } } }'
    key = {"Idempotency-Key": "the same key"}
    mine = graphql(cloud, query, key)[1]["data"]["addNote"]["note"]
    others = graphql(cloud, query, key, app="other")[1]["data"]["addNote"]["note"]
    assert mine != others
    assert graphql(cloud, query, key, app="other")[1]["data"]["addNote"]["note"] == others
    body = {"args": {"name": "x"}, "key": "the same key"}
    assert cloud.attack(ask, "POST", "/send/attacker/greet", body, {})[0] == 202
    run = cloud.attack(ask, "POST", "/send/other/greet", body, {})[1]["id"]
    assert cloud.attack(ask, "POST", "/send/other/greet", body, {}, app="other")[1]["id"] != run


@pytest.mark.parametrize(
    "query",
    ["{ queryOther_Note { text } }", "{ runs }", "{ audit }", 'mutation { callAction(app: "other", action: "secret") }',
     'mutation { replay(trigger: "other/x") }', "{ queryCore_App { name } }", '{ nodeHistory(type: "Other_Note", id: "x") { actor } }'],
)  # fmt: skip
def test_an_attack_by_a_query_beyond_the_view_finds_nothing_and_is_recorded(cloud: Cloud, query: str) -> None:
    answer = graphql(cloud, query)
    assert code(answer)[1] in ("REJECTED", "NOT_FOUND"), answer
    if code(answer)[1] == "REJECTED":
        assert cloud.audited(kind="api", actor="app:attacker", outcome="REJECTED")


@pytest.mark.parametrize("size", [10_000_000, 40_000_000])
@pytest.mark.parametrize("path", ["/call/other/greet", "/send/other/greet", "/graphql"])
def test_an_attack_by_a_message_of_many_megabytes_is_rejected(cloud: Cloud, path: str, size: int) -> None:
    def send_huge(path: str, size: int) -> Any:
        from attacker.door import ask

        text = "x" * size
        try:
            return ask(
                "POST", path, {"query": "{ revision } #" + text} if path == "/graphql" else {"args": {"name": text}}
            )
        except OSError:
            return 413, {"error": {"code": "REJECTED"}}

    status, error = code(cloud.attack(send_huge, path, size))
    assert status in (400, 413) and error == "REJECTED"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"args": []}', b"\xff", b"[" * 100_000, b'{"args": {"name": ' + b"[" * 100_000]
)
def test_an_attack_by_a_malformed_body_is_rejected(cloud: Cloud, body: bytes) -> None:
    def send(text: str) -> Any:
        from attacker.door import ask

        return ask("POST", "/call/other/secret", text.encode("latin-1"))

    assert code(cloud.attack(send, body.decode("latin-1")))[0] in (400, 403)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e9", "0", "x"])
def test_an_attack_by_an_invalid_timeout_is_rejected(cloud: Cloud, seconds: str) -> None:
    assert code(cloud.attack(ask, "POST", "/call/other/greet", {"args": {}}, {"Pcloud-Timeout": seconds})) == (
        400,
        "REJECTED",
    )


@pytest.mark.parametrize(
    "path",
    ["/", "/apps", "/status", "/nats", "/devices", "/signin-link", "/call", "/graphql/other", "/_pcloud/graphql", "//"],
)
def test_an_attack_on_the_administration_from_the_gateway_finds_nothing(cloud: Cloud, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert cloud.attack(ask, method, path, {}, {})[0] in (404, 405)


def test_an_attack_by_half_requests_does_not_block_others(cloud: Cloud) -> None:
    """Hundreds of connections that never finish their requests."""

    def hang() -> int:
        import os
        import socket
        import time

        from attacker.behind import stays_behind

        host, _, port = os.environ["PCLOUD_URL"].partition("//")[2].partition(":")
        held = []
        for _ in range(600):
            try:
                one = socket.create_connection((host, int(port)), timeout=5)
                one.send(b"POST /graphql HTTP/1.1\r\nHost: core\r\nContent-Length: 1000\r\n\r\n{")
                held.append(one)
            except OSError:
                break
        if stays_behind():
            time.sleep(5)
            os._exit(0)
        return len(held)

    assert cloud.attack(hang) > 100
    for _ in range(5):
        cloud.serves_others()
