"""Clients that write notes all the time, like a phone: each note again and again under one key until it is acknowledged."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.node_process import NodeProcess

__all__ = ["CLIENTS", "Writers", "writing"]

ADD = "mutation($text: String!) { addEcho_Note(input: [{text: $text}]) { count } }"
CLIENTS = 4
PAUSE = 0.02


@dataclass
class Writers:
    """`stored`: the texts of acknowledged notes. `refused`: the message of each UNAVAILABLE; `others`: other answers."""

    node: NodeProcess
    stored: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        while not self.ending.is_set():
            key = text = uuid.uuid4().hex
            while not (stored := self._add(text, key)) and not self.others:
                time.sleep(PAUSE)
            if stored:
                self.stored.append(text)
            time.sleep(PAUSE)

    def _add(self, text: str, key: str) -> bool:
        body = json.dumps({"query": ADD, "variables": {"text": text}}).encode()
        request = Request(f"{self.node.address}/graphql", body)
        for name, value in {
            "Authorization": f"Bearer {self.node.token}", "Content-Type": "application/json", "Idempotency-Key": key,
        }.items():  # fmt: skip
            request.add_header(name, value)
        try:
            with urlopen(request, timeout=300) as response:
                answer = json.load(response)
        except (URLError, OSError) as error:
            self.others.append(error)
            return False
        if "errors" not in answer:
            return True
        code = answer["errors"][0]["extensions"]["code"]
        if code == "UNAVAILABLE":
            self.refused.append(answer["errors"][0]["message"])
        else:
            self.others.append(answer)
            self.ending.set()
        return False


@contextmanager
def writing(node: NodeProcess) -> Iterator[Writers]:
    """Write within the block; on leaving it, wait until each client's last note is acknowledged."""
    writers = Writers(node)
    threads = [threading.Thread(target=writers.work, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        writers.ending.set()
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive()
