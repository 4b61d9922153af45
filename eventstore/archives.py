"""ARCHIVES: the installed apps' archives, in an object bucket that every node has.

They are stored like NATS's object stores (ADR-20), so that its tools can read them: the pieces under a subject of their
own, then the entry that names them. An archive exists once its entry does. A killed upload or deletion leaves pieces
that no entry names; `sweep` removes those.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import msgspec

from eventstore.connection import ApiError, Connection
from eventstore.follow import read
from eventstore.message import get_message
from eventstore.publish import Ack, publish
from eventstore.retry import until_answered
from eventstore.wire import Message
from pcloud.errors import Corrupt, NotFound, Unavailable

__all__ = ["Archives"]

BUCKET, STREAM = "ARCHIVES", "OBJ_ARCHIVES"
ENTRIES, PIECES = f"$O.{BUCKET}.M.", f"$O.{BUCKET}.C."
PIECE = 512 * 2**10
# The number of pieces in flight: the log syncs each one to the disk before it answers.
WINDOW = 8
SECONDS = 30.0
DIGEST = "SHA-256="


class Options(msgspec.Struct, frozen=True):
    max_chunk_size: int = PIECE


class ArchiveEntry(msgspec.Struct, frozen=True):
    """An entry as in ADR-20. `nuid`: the id under which the pieces are stored; `chunks`: their number."""

    name: str
    bucket: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str = ""
    deleted: bool = False
    options: Options = Options()


class Archives:
    """Available as `EventStore.archives`. The caller chooses the names: an archive's SHA-256. `admit` raises while the
    store accepts nothing."""

    def __init__(self, connection: Connection, admit: Callable[[], None]) -> None:
        self._connection = connection
        self._admit = admit

    async def put(self, name: str, source: bytes | Path) -> None:
        """Store an archive, replacing one of the same name; a file is read piece by piece. Raises `Unavailable`."""
        self._admit()
        before = await self._find(name)
        try:
            # Every attempt has pieces of its own.
            entry = await until_answered(self._connection, lambda: self._pieces(name, source), f"the archive {name}")
            message = Message(_entry(name), {"Nats-Rollup": "sub"}, msgspec.json.encode(entry))
            await until_answered(
                self._connection, lambda: publish(self._connection, message, SECONDS), f"the archive {name}"
            )
        except (ApiError, OSError) as error:
            raise Unavailable(f"the archive {name} can't be stored: {error}") from error
        if before is not None:
            await self._purge(f"{PIECES}{before.nuid}")

    async def get(self, name: str) -> bytes:
        """Raises `NotFound`, `Unavailable`, or `Corrupt` if the content differs from what was stored."""
        return b"".join([piece async for piece in self._read(name)])

    async def fetch(self, name: str, target: Path) -> None:
        """Write the archive to a file, piece by piece; raises like `get`, and then leaves no such file."""
        try:
            with target.open("wb") as file:
                async for piece in self._read(name):
                    await asyncio.to_thread(file.write, piece)
        except BaseException:
            target.unlink(missing_ok=True)  # noqa: ASYNC240 - one name
            raise

    async def names(self) -> set[str]:
        """The names of all stored archives."""
        return {
            base64.urlsafe_b64decode(subject.removeprefix(ENTRIES)).decode() for subject in await self._all(ENTRIES)
        }

    async def delete(self, name: str) -> None:
        """Delete an archive; does nothing if it does not exist. The entry goes first: an entry without its pieces would
        be broken."""
        if (entry := await self._find(name)) is not None:
            await self._purge(_entry(name))
            await self._purge(f"{PIECES}{entry.nuid}")

    async def sweep(self) -> int:
        """Remove the pieces that no entry names and return the number of archives that they belonged to. Don't call it
        while an archive is being stored."""
        named = {entry.nuid for name in await self.names() if (entry := await self._find(name))}
        left = [subject for subject in await self._all(PIECES) if subject.removeprefix(PIECES) not in named]
        for subject in left:
            await self._purge(subject)
        return len(left)

    # --- within -------------------------------------------------------------------------------------------------------

    async def _pieces(self, name: str, source: bytes | Path) -> ArchiveEntry:
        nuid, digest, size, sent = token_hex(11), hashlib.sha256(), 0, 0
        under_way = deque[asyncio.Task[Ack]]()
        try:
            with _opened(source) as file:
                while piece := await asyncio.to_thread(file.read, PIECE):
                    digest.update(piece)
                    size, sent = size + len(piece), sent + 1
                    message = Message(f"{PIECES}{nuid}", {}, piece)
                    under_way.append(asyncio.create_task(publish(self._connection, message, SECONDS)))
                    if len(under_way) >= WINDOW:
                        await under_way.popleft()
                while under_way:
                    await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        shown = DIGEST + base64.urlsafe_b64encode(digest.digest()).decode()
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return ArchiveEntry(name, BUCKET, nuid, size, sent, shown, now)

    async def _read(self, name: str) -> AsyncGenerator[bytes, None]:
        if (entry := await self._find(name)) is None:
            raise NotFound(f"there is no archive {name}")
        digest, last = hashlib.sha256(), await self._last()
        async with aclosing(read(self._connection, STREAM, 1, last, [f"{PIECES}{entry.nuid}"])) as messages:
            async for message in messages:
                digest.update(message.body)
                yield message.body
        if base64.urlsafe_b64decode(entry.digest.removeprefix(DIGEST)) != digest.digest():
            raise Corrupt(f"the archive {name} is not what was stored: install the app's archive again")

    async def _find(self, name: str) -> ArchiveEntry | None:
        try:
            found = await get_message(self._connection, STREAM, {"last_by_subj": _entry(name)})
            entry = found and msgspec.json.decode(found.body, type=ArchiveEntry)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"the entry of the archive {name} can't be read: {error}") from error
        except ApiError as error:
            raise Unavailable(f"the archive {name} can't be found: {error}") from error
        return entry if entry and not entry.deleted else None

    async def _all(self, prefix: str) -> list[str]:
        """The subjects. The server lists at most 100,000 at once, and each would be an archive."""
        return list((await self._info({"subjects_filter": f"{prefix}>"})).get("subjects") or {})

    async def _last(self) -> int:
        return int((await self._info({}))["last_seq"])

    async def _info(self, request: dict[str, str]) -> dict[str, Any]:
        try:
            return dict((await self._connection.api(f"STREAM.INFO.{STREAM}", request))["state"])
        except ApiError as error:
            raise Unavailable(f"the archives can't be listed: {error}") from error

    async def _purge(self, subject: str) -> None:
        try:
            await self._connection.api(f"STREAM.PURGE.{STREAM}", {"filter": subject})
        except ApiError as error:
            raise Unavailable(f"{subject} can't be purged from {STREAM}: {error}: try again") from error


def _entry(name: str) -> str:
    return f"{ENTRIES}{base64.urlsafe_b64encode(name.encode()).decode()}"


def _opened(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
