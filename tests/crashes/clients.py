"""Clients that work all the time and remember what was acknowledged: some change the graph, some upload pictures, some ask.

Each repeats a change under its key, and an upload under its name, until it is acknowledged, as a phone does, whatever happens to the
node meanwhile. What an app's action has to do follows from a change: a reply to each note.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from core.apps import packed
from tests.node_process import NodeProcess
from tests.waiting import wait_until

__all__ = ["Clients", "install_apps", "missing", "working"]

ADD = "mutation($notes: [AddEcho_NoteInput!]!) { addEcho_Note(input: $notes) { count } }"
NOTES = "{ queryEcho_Note(first: 1000, offset: %d, order: {asc: id}) { id text } }"
REPLIES = "{ queryEcho_Reply(first: 1000, offset: %d, order: {asc: id}) { note } }"
IMAGES = "{ queryImageImporter_Image(first: 1000, offset: %d, order: {asc: id}) { place } }"
PART = 5 * 2**20  # bytes of the smallest part that S3 allows before the last one
TOGETHER = 3  # notes of a mutation that stores several
SECONDS = 300.0  # for an answer; a request that waits longer than any stall counts as refused
ECHO = Path(__file__).parent / "echo"


@dataclass
class Clients:
    """`notes`: texts, and `objects`: SHA-256 by key, of what was acknowledged. `asked`: answered queries. `refused`: answers and
    failures after which the client tried again, by their kind; `wrong`: those that no client should get. `on_upload` is called when an
    upload is acknowledged, in the client's thread."""

    node: NodeProcess
    s3: dict[str, str]
    pause: float = 0.02
    notes: list[str] = field(default_factory=list[str])
    objects: dict[str, str] = field(default_factory=dict[str, str])
    asked: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    wrong: Counter[str] = field(default_factory=Counter[str])
    ending: threading.Event = field(default_factory=threading.Event)
    on_upload: Callable[[], None] = lambda: None
    _local: threading.local = field(default_factory=threading.local)

    @property
    def acknowledged(self) -> int:
        return len(self.notes) + len(self.objects)

    def change(self, together: int) -> None:
        """Store this many notes in one mutation."""
        texts = [uuid.uuid4().hex for _ in range(together)]
        if self._until_acknowledged(partial(self._graphql, ADD, {"notes": [{"text": text} for text in texts]})):
            self.notes += texts

    def upload(self, parts: int) -> None:
        """Put a picture of its own: in one piece, or in parts."""
        key, body = f"{uuid.uuid4().hex}.jpg", picture((parts - 1) * PART)
        put = partial(self._put, key, body) if parts == 1 else partial(self._put_parts, key, body)
        if self._until_acknowledged(put):
            self.on_upload()
            self.objects[key] = hashlib.sha256(body).hexdigest()

    def ask(self) -> None:
        self._until_acknowledged(partial(self._graphql, NOTES % 0, {}))
        self.asked += 1

    def _until_acknowledged(self, work: Callable[[str], object]) -> bool:
        """Repeat it, under one key, until it is acknowledged (True) or the clients end (False)."""
        key = uuid.uuid4().hex
        while True:
            try:
                work(key)
            except (OSError, BotoCoreError, ClientError, Refused) as error:
                (self.refused if passes(error) else self.wrong)[kind(error)] += 1
            else:
                return True
            if self.ending.wait(0.2):
                return False

    def _graphql(self, query: str, variables: dict[str, Any], key: str) -> None:
        request = Request(
            f"{self.node.address}/graphql", json.dumps({"query": query, "variables": variables}).encode(),
            {"Authorization": f"Bearer {self.node.token}", "Content-Type": "application/json", "Idempotency-Key": key},
        )  # fmt: skip
        with urlopen(request, timeout=SECONDS) as response:
            answer = json.load(response)
        if "errors" in answer:
            raise Refused(answer["errors"][0]["extensions"]["code"])

    def _put(self, key: str, body: bytes, _: str) -> None:
        self._client().put_object(Bucket=self.s3["bucket"], Key=key, Body=body)

    def _put_parts(self, key: str, body: bytes, _: str) -> None:
        client, at = self._client(), {"Bucket": self.s3["bucket"], "Key": key}
        upload = client.create_multipart_upload(**at)["UploadId"]
        done: list[dict[str, Any]] = []
        for number, start in enumerate(range(0, len(body), PART), 1):
            part = client.upload_part(**at, UploadId=upload, PartNumber=number, Body=body[start : start + PART])
            done.append({"PartNumber": number, "ETag": part["ETag"]})
        client.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": done})

    def read(self, key: str) -> bytes:
        """An object's bytes. Raises what boto3 raises."""
        return self._client().get_object(Bucket=self.s3["bucket"], Key=key)["Body"].read()

    def _client(self) -> Any:
        """One for each thread, as making one takes longer than a request."""
        if not hasattr(self._local, "client"):
            config = Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 0}, connect_timeout=10, read_timeout=SECONDS
            )
            self._local.client = Session().client(
                "s3", endpoint_url=self.s3["endpoint"], aws_access_key_id=self.s3["access_key"],
                aws_secret_access_key=self.s3["secret_key"], region_name="us-east-1", config=config,
            )  # fmt: skip
        return self._local.client


class Refused(Exception):
    """The node answered with this code."""


def passes(error: Exception) -> bool:
    """Return True if the answer means that it is worth to try again."""
    if isinstance(error, Refused):
        return str(error) == "UNAVAILABLE"
    if isinstance(error, ClientError):  # a store that was killed may have forgotten an upload that was not completed
        return status(error) >= 500 or kind(error) == "S3 NoSuchUpload"
    return not isinstance(error, HTTPError) or error.code >= 500


def status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def kind(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"S3 {error.response['Error']['Code']}"
    return str(error) if isinstance(error, Refused | HTTPError) else type(error).__name__


def picture(more: int) -> bytes:
    """A small JPEG unlike any other, followed by `more` random bytes, which decoders ignore."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (48, 48), os.urandom(48 * 48 * 3)).save(buffer, "JPEG")
    return buffer.getvalue() + os.urandom(more + random.randrange(200_000))


def install_apps(node: NodeProcess) -> dict[str, str]:
    """Install what the clients use and pair a device; gives its S3 credentials."""
    node.install("object-store", "image-importer")
    node.install_archive(packed(ECHO).data)
    return node.json("device", "pair", "--name", "phone", "--json")["s3"]


@contextmanager
def working(clients: Clients) -> Iterator[Clients]:
    """They work within the block, each in a thread; at its end, each ends with the answer that it waits for."""
    clients.ending.clear()
    works = [
        partial(clients.change, 1), partial(clients.change, 1), partial(clients.change, TOGETHER), clients.ask,
        partial(clients.upload, 1), partial(clients.upload, 1), partial(clients.upload, 2),
    ]  # fmt: skip

    def repeat(work: Callable[[], None]) -> None:
        while not clients.ending.wait(clients.pause):
            work()

    threads = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.ending.set()
        for thread in threads:
            thread.join(SECONDS + 60)
            assert not thread.is_alive(), "a client does not end"


def missing(clients: Clients) -> list[str]:
    """What was acknowledged and is not there, or not once, or not as it was: in the graph, in the store, by the apps."""
    node = clients.node
    notes = rows(node, NOTES)
    ids = {note["id"] for note in notes}
    times = Counter(note["text"] for note in notes)
    lost = [f"note {text}: {times[text]} times" for text in clients.notes if times[text] != 1]
    lost += [f"object {key}: {found}" for key, was in clients.objects.items() if (found := stored(clients, key)) != was]
    lost += unprocessed(clients, ids)
    if not node.json("graph", "verify", "--json")["equal"]:
        lost.append("the graph is not what the log folds to")
    return lost


def unprocessed(clients: Clients, notes: set[str]) -> list[str]:
    """What the apps have not done or done twice, after all time that it may take."""
    node, places = clients.node, {f"{clients.s3['bucket']}/{key}" for key in clients.objects}

    def undone() -> list[str]:
        replies = Counter(reply["note"] for reply in rows(node, REPLIES))
        imported = {image["place"] for image in rows(node, IMAGES)}
        without = [f"note {note}: {replies[note]} replies" for note in notes if replies[note] != 1]
        return without + [f"no image of {place}" for place in places - imported]

    end = time.monotonic() + SECONDS
    while (left := undone()) and time.monotonic() < end:
        time.sleep(0.5)
    return left


def stored(clients: Clients, key: str) -> str:
    """SHA-256 of an object's bytes, or why it can't be read."""
    answer: list[Any] = []

    def read() -> bool:
        try:
            answer[:] = [clients.read(key)]
        except (BotoCoreError, ClientError) as error:
            answer[:] = [error]
            return isinstance(error, ClientError) and status(error) == 404
        return True

    wait_until(read, what=f"an answer to GET {key}")
    return hashlib.sha256(answer[0]).hexdigest() if isinstance(answer[0], bytes) else str(answer[0])


def rows(node: NodeProcess, query: str) -> list[dict[str, str]]:
    """All rows of a query with a place for its offset."""
    found: list[dict[str, str]] = []
    while page := next(iter(node.graphql(query % len(found)).values())):
        found += page
    return found
