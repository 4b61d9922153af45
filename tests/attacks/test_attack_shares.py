"""Attacks by taking what all apps share: credentials and buckets of the store, connections, the bus's memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.attacks.conftest import Cloud
from tests.attacks.test_calls import ask, code
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")
CALLS = ("create-bucket", "issue-credentials", "revoke-credentials", "usage")
MIB = 2**20
CONNECTIONS = 300  # to one place: more than any app may have in all
MOST_DESCRIPTORS = 2 * 256 + 40


@pytest.fixture(scope="module")
def store(cloud: Cloud) -> Iterator[Cloud]:
    """With the object store; `keeper` and `thief` may both use it."""
    cloud.install("object-store")
    uses = "\n".join(f"  - call: role:object-storage/{name}" for name in CALLS)
    for name in ("keeper", "thief"):
        cloud.install_archive(cloud.installed(name, **{"  - call: other/greet": uses}))
        assert call(cloud, name, "create-bucket", bucket=f"of-{name}")[0] == 200
    yield cloud


def call(store: Cloud, app: str, action: str, **args: Any) -> Any:
    return store.attack(ask, "POST", f"/call/role:object-storage/{action}", {"args": args}, {}, app=app)


def take(first: int) -> list[Any]:
    """Ask for twenty credentials, eight at a time; return the answers."""
    from concurrent.futures import ThreadPoolExecutor

    from attacker.door import ask

    def once(number: int) -> Any:
        args = {"name": f"k{number}", "bucket": "of-thief"}
        return ask("POST", "/call/role:object-storage/issue-credentials", {"args": args}, {})

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(once, range(first, first + 20)))


def test_attack_by_taking_all_credentials_leaves_others_theirs(store: Cloud) -> None:
    taken = 0
    for first in range(0, 1200, 20):
        answers = store.attack(take, first, app="thief")
        taken += sum(status == 200 for status, _ in answers)
        refused = [answer["error"]["message"] for status, answer in answers if status != 200]
        if len(refused) == 20:
            break
    assert taken == 100 and "app:thief has 100 credentials already" in refused[0]
    assert code(call(store, "keeper", "issue-credentials", name="mine", bucket="of-keeper"))[0] == 200


def test_attack_by_making_buckets_without_end_ends_at_the_apps_share(store: Cloud) -> None:
    for number in range(60):
        status, refused = call(store, "thief", "create-bucket", bucket=f"many-{number}")
        if status != 200:
            break
    assert status == 400 and number < 40 and "buckets" in refused["error"]["message"]
    assert call(store, "keeper", "create-bucket", bucket="one-more")[0] == 200


def hold(places: list[tuple[str, int]], count: int) -> int:
    """Open connections in a process that stays behind, as far as core lets it; return their number."""
    import os
    import socket
    import time

    read, write = os.pipe()
    if os.fork():
        os.close(write)
        return int(os.read(read, 100))
    os.setsid()
    held = []
    for place in places:
        for _ in range(count):
            try:
                held.append(socket.create_connection(tuple(place), timeout=5))
            except OSError:
                break
    os.write(write, str(len(held)).encode())
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    time.sleep(60)
    return os._exit(0)


def test_attack_by_holding_connections_leaves_others_theirs(store: Cloud) -> None:
    endpoint = call(store, "keeper", "issue-credentials", name="c", bucket="of-keeper")[1]["result"]["endpoint"]
    s3 = urlsplit(endpoint)
    places = [("127.0.0.1", 4222), ("127.0.0.1", 4280), (s3.hostname, s3.port)]
    core = psutil.Process(store.process.pid)
    before = core.num_fds()
    assert store.attack(hold, places, CONNECTIONS, app="thief") > 2 * CONNECTIONS
    wait_until(lambda: core.num_fds() - before <= MOST_DESCRIPTORS, what="what is too much to be closed")
    assert call(store, "keeper", "usage", bucket="of-keeper")[0] == 200
    assert store.attack(reaches, s3.hostname, s3.port, app="keeper")


def reaches(host: str, port: int) -> bool:
    import socket

    with socket.create_connection((host, port), timeout=5) as one:
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return one.recv(100).startswith(b"HTTP/1")


def test_attack_by_subscribing_without_end_leaves_the_bus_its_memory(cloud: Cloud) -> None:
    def subscribe() -> int:
        import os

        from attacker.bus import Bus

        name, count = os.environ["PCLOUD_APP"], 60_000
        bus = Bus()
        for start in range(0, count, 1000):
            lines = (f"SUB call.{name}.x{start + n} {name} {start + n}\r\n" for n in range(1000))
            bus.send("".join(lines).encode())
            bus.settle()
        return count - sum("maximum subscriptions" in refusal.lower() for refusal in bus.refused)

    [server] = [psutil.Process(pid) for pid in cloud.children() if "nats-server" in psutil.Process(pid).name()]
    before = server.memory_info().rss
    assert cloud.attack(subscribe) <= 1000
    assert server.memory_info().rss - before < 32 * MIB
    assert cloud.audited(kind="bus", what="too many places")["actor"] == "app:attacker"
    wait_until(lambda: cloud.call("attacker/greet", name="Ada"), what="the bus")
