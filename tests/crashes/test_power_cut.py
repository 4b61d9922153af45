"""The power fails at any moment, and what was not synced to the disk is gone: nothing acknowledged is lost, and the node starts
by itself.

The whole data folder lies on an ext4 that stops writing at that moment, with a journal that commits by itself only every five minutes:
data that was not synced is dropped; of names and sizes, what the last sync of anything had committed is there.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.crashes.clients import Clients, install_apps, missing, working
from tests.own_disk import MB, ImageDisk
from tests.waiting import PATIENCE

CUTS = 20


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_power_cuts_lose_nothing_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(12)
    with ImageDisk(tmp_path, 8000 * MB) as node:
        clients = Clients(node, install_apps(node))
        for cut in range(CUTS):
            with working(clients):
                wait_for_more(clients)
                time.sleep(chance.uniform(0, 3))
                cut_at_upload(node, clients)
            if chance.random() < 0.3:  # and again while it starts
                node.start_and_cut(chance.uniform(0, 4))
            node.start()
            assert missing(clients) == [], f"after cut {cut + 1}; the node's log ends: {node.log.read_text()[-3000:]}"
            print(f"cut {cut + 1}: {len(clients.notes)} notes, {len(clients.objects)} uploads are all there")
        assert clients.wrong == {} and node.status()["runs"]["FAILED"] == 0


def cut_at_upload(node: ImageDisk, clients: Clients) -> None:
    """Cut the power in the instant in which an upload's answer arrives, with others on their way."""
    first, cut = threading.Lock(), threading.Event()

    def drop() -> None:
        if first.acquire(blocking=False):
            node.drop_unsynced()
            cut.set()

    clients.on_upload = drop
    assert cut.wait(PATIENCE), f"no upload is accepted: {clients.refused}, {clients.wrong}"
    node.kill()
    clients.ending.set()
    clients.on_upload = lambda: None


def wait_for_more(clients: Clients) -> None:
    """Wait until each kind of client has had something acknowledged again."""
    notes, objects, end = len(clients.notes), len(clients.objects), time.monotonic() + 5 * PATIENCE
    while len(clients.notes) < notes + 20 or len(clients.objects) < objects + 4:
        assert time.monotonic() < end, f"too little is accepted: {clients.refused}, {clients.wrong}"
        time.sleep(0.05)
