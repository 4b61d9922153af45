"""The role `object-storage`: its actions as methods, each with the caller as first argument. It does not know the bus.

`async with open_store(settings, send, ask) as store` starts weed; `store.run()` must run meanwhile: it watches weed,
follows what is stored, and sends notifications to the webhooks. It fails if weed can't be kept alive.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any

from object_store.access import OWNER, is_owner, may_administer, may_create, may_hold, may_write
from object_store.compaction import Compaction
from object_store.delivery import Delivery, Send, utc
from object_store.flush import Flusher
from object_store.gate import open_gate
from object_store.health import Health
from object_store.intake import Intake
from object_store.keys import Ask, Keys
from object_store.ledger import Bucket, Credential, Ledger
from object_store.listing import objects
from object_store.metadata import Created
from object_store.names import addressable, bounded, check_address, check_bucket, check_key, check_label, check_prefix
from object_store.notifier import Notifier
from object_store.rights import stood_for
from object_store.room import MB, Room
from object_store.s3 import S3
from object_store.settings import Settings
from object_store.weed.capacity import most_buckets, volumes_of
from object_store.weed.filer import Filer, open_filer
from object_store.weed.identity import Identities
from object_store.weed.ports import GRPC_OFFSET
from object_store.weed.server import Server, open_server
from object_store.weed.volumes import open_volumes
from pcloud.errors import Conflict, NotFound, PCloudError, Rejected, Unavailable

__all__ = ["Store", "open_store"]

log = logging.getLogger("object_store")

_WEEK = 7 * 86_400  # the most that S3 can express
_LONGEST = 3600  # seconds that an address is valid
# For each app, so that one can't use up what all share: weed keeps every user in memory, and a bucket has files of its
# own.
_MOST_CREDENTIALS, _MOST_BUCKETS = 100, 32
_MOST_OF_OWNER = 1000  # devices get theirs from the owner
_PATIENCE = 15.0  # seconds that an action waits for a weed that is restarting


class Store:
    def __init__(self, server: Server, ledger: Ledger, send: Send, ask: Ask) -> None:
        self.server, self._ledger = server, ledger
        self._flusher = Flusher(server.folder.root)
        self._s3 = S3(server.endpoint, server.settings.region, server.secrets.admin)
        self._room = Room(server.folder.data, server.settings.reserve_mb * MB)
        self.health = Health(server, self._s3, self._room)
        self._compaction = Compaction(
            self._room, server.ready, lambda: open_volumes(server.ports, server.certificate, server.folder.data)
        )
        self._delivery = Delivery(ledger, self._flusher, send)
        self._notifier = Notifier(ledger, self._flusher, self._s3, self._delivery.wake)
        self._filer: asyncio.Future[Filer] | None = None
        self.keys = Keys(server, self.endpoint, ledger, self._flusher, self._identities, ask)
        self._making = Counter[tuple[str, str]]()  # by kind and owner

    @property
    def endpoint(self) -> str:
        """Where clients reach S3: the gate."""
        return f"http://{self.server.settings.s3_host}:{self.server.ports.s3}"

    def open_gate(self) -> AbstractAsyncContextManager[int]:
        """Serve clients until the end of the block; `run` must run meanwhile, as it flushes what they write."""
        intake = Intake(self._room, self._size_of, lambda: self.health.why_read_only, self.health.suspect)
        return open_gate(self.server.ports.s3, self.server.endpoint, self._flusher, self.server.ready, intake)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.server.watch())
            group.create_task(self.server.bound_log())
            group.create_task(self._flusher.run())
            group.create_task(self._delivery.run())
            group.create_task(self._compaction.run())
            group.create_task(self.health.run())
            group.create_task(self._follow())

    async def _follow(self) -> None:
        """Hold a connection to the filer and follow it; connect again whenever weed was away."""
        pause = 0.1
        while True:
            await self.server.ready.wait()
            try:
                async with open_filer(self.server.ports.filer + GRPC_OFFSET, self.server.certificate) as filer:
                    self._have(filer)
                    await self._sweep()
                    pause = 0.1
                    await self._notifier.follow(filer)
            except* PCloudError as group:
                log.warning("the connection to the filer was lost, connecting again: %s", _first(group))
            finally:
                if self._filer and self._filer.done():  # a connection for which calls wait stays
                    self._filer = None
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)

    async def _sweep(self) -> None:
        """If it fails, the next sweep does the rest; weed itself refuses these keys already."""
        try:
            await self.keys.sweep()
        except PCloudError as error:
            log.warning("keys that have ended are still known to weed: %s", error)

    # Buckets

    async def create_bucket(self, caller: str, bucket: str, webhook: str = "") -> dict[str, Any]:
        may_create(caller)
        check_bucket(bucket)
        if len(webhook) > 1024:
            raise Rejected("a webhook is an action or a capability, of at most 1024 characters")
        owner = OWNER if is_owner(caller) else caller
        known = self._ledger.bucket(bucket)
        if known is None:
            await self._make_bucket(bucket, owner)
        if known is None or (webhook and webhook != known.webhook):
            known = self._ledger.add_bucket(Bucket(bucket, owner, webhook))
            await self._flusher.durable()
        if known.owner != owner:
            raise Conflict(f"the bucket {bucket} is taken by another app: choose another name")
        if webhook:
            self._ledger.try_again(bucket)
            self._delivery.wake()
            await self._notifier.reconcile(await self._connection(), bucket)
        return {"bucket": bucket}

    async def _make_bucket(self, bucket: str, owner: str) -> None:
        """Raises `Rejected` if that would be one too many for an owner or for weed, counting those that are being
        made."""
        with self._making_one("buckets", owner, self._ledger.count_buckets(owner), _MOST_BUCKETS):
            self._check_files()
            await self._ready()
            await self._s3.create_bucket(bucket)

    def _check_files(self) -> None:
        files, volumes = self.server.settings.files, volumes_of(self.server.folder.data)
        empty = sum(bucket.name not in volumes for bucket in self._ledger.buckets())
        making = sum(count for (what, _), count in self._making.items() if what == "buckets")
        if sum(volumes.values()) + empty + making > most_buckets(files):
            raise Rejected(
                f"the object store may open {files} files, which is too few for another bucket: remove an app that has buckets, with its "
                "data (`pcloud app remove NAME --forget`), or allow it as many files as the machine does (`pcloud app limits object-store "
                "--files none`); if it has those already, raise the machine's limit for PCloud (`ulimit -Hn`, or LimitNOFILE= of "
                "its service)"
            )

    @contextmanager
    def _making_one(self, what: str, whose: str, count: int, of_app: int) -> Iterator[None]:
        """Raises `Rejected` if that would be one too many, counting those that are being made. `of_app`: the most for
        an app."""
        most = _MOST_OF_OWNER if is_owner(whose) else of_app
        if count + self._making[what, whose] >= most:
            raise Rejected(f"{whose} has {most} {what} already: remove some")
        self._making[what, whose] += 1
        try:
            yield
        finally:
            self._making[what, whose] -= 1

    async def usage(self, caller: str, bucket: str = "") -> dict[str, Any]:
        """The usage of one bucket, or of all of the caller's buckets (for the owner: of all)."""
        if bucket:
            chosen = [self._administered(caller, bucket)]
        else:
            chosen = [b for b in self._ledger.buckets() if is_owner(caller) or b.owner == caller]
        await self._ready()
        return {"buckets": [await self._count(b.name) for b in chosen]}

    async def _count(self, bucket: str) -> dict[str, Any]:
        count = size = 0
        async for found in objects(await self._connection(), bucket):
            count, size = count + 1, size + found.size
        return {"bucket": bucket, "objects": count, "bytes": size}

    # Objects

    async def get_object(self, caller: str, bucket: str, key: str, seconds: int = 900) -> dict[str, Any]:
        """Open to every caller that was granted the call; see `access`."""
        self._known(bucket)
        bounded("seconds", seconds, 1, _WEEK)
        s3 = await self.keys.signing(caller, "get-object", bucket)
        return {"url": s3.presign("GET", bucket, check_address(key), min(seconds, _LONGEST))}

    async def put_object(
        self, caller: str, bucket: str, key: str, seconds: int = 900, content_type: str = ""
    ) -> dict[str, Any]:
        """`headers`: what the client must send along."""
        may_write(caller, bucket, self._known(bucket).owner)
        bounded("seconds", seconds, 1, _WEEK)
        if len(content_type) > 255 or any(ord(c) < 32 for c in content_type):
            raise Rejected("content_type must be a media type of at most 255 characters")
        headers = {"Content-Type": content_type} if content_type else {}
        s3 = await self.keys.signing(caller, "put-object", bucket)
        return {"url": s3.presign("PUT", bucket, check_address(key), min(seconds, _LONGEST)), "headers": headers}

    async def list_objects(
        self, caller: str, bucket: str, prefix: str = "", after: str = "", first: int = 1000
    ) -> dict[str, Any]:
        """`next`: pass it as `after` for the next page, or None. `prefix`: a folder."""
        self._known(bucket)
        page, following = await self._page(bucket, prefix, after, first)
        return {"objects": [_told(o) for o in page], "next": following}

    async def delete_object(self, caller: str, bucket: str, key: str) -> dict[str, Any]:
        may_write(caller, bucket, self._known(bucket).owner)
        check_key(key)
        await self._ready()
        await self._s3.delete(bucket, key)
        await self._flusher.durable()
        return {}

    async def export(self, caller: str, bucket: str, after: str = "", first: int = 1000) -> dict[str, Any]:
        """Like `list_objects`, with an address for each object that is valid for an hour; None if no address can
        work."""
        self._administered(caller, bucket)
        page, following = await self._page(bucket, "", after, first)
        s3 = await self.keys.signing(caller, "export", bucket)
        told = [
            _told(o) | {"url": s3.presign("GET", bucket, o.key, _LONGEST) if addressable(o.key) else None} for o in page
        ]
        return {"objects": told, "next": following}

    async def _page(self, bucket: str, prefix: str, after: str, first: int) -> tuple[list[Created], str | None]:
        bounded("first", first, 1, 1000)
        folder = check_key(prefix.rstrip("/")) if prefix else ""
        found = list[Created]()
        async with aclosing(objects(await self._connection(), bucket, folder, after)) as listing:
            async for one in listing:
                if len(found) == first:
                    return found, found[-1].key
                found.append(one)
        return found, None

    async def _size_of(self, bucket: str, key: str) -> int:
        """In bytes, 0 if it does not exist or the filer is away."""
        if self._filer is None or not self._filer.done():
            return 0
        return await self._filer.result().size(bucket, key)

    # Credentials

    async def issue_credentials(
        self,
        caller: str,
        name: str,
        bucket: str,
        prefix: str = "",
        write: bool = False,
        delete: bool | None = None,
        holder: str = "",
    ) -> dict[str, Any]:
        """Only this answer holds the secret key. `delete`: like `write` by default. `holder`: the key ends with this
        one's rights."""
        self._administered(caller, bucket)
        check_label(name)
        may_hold(caller, holder)
        delete = write if delete is None else delete
        wanted = Credential("", "", bucket, check_prefix(prefix), write, caller, holder or caller)
        actions = stood_for(write, delete) if holder else ("issue-credentials",)
        may = {"read", *(["write"] if write else []), *(["delete"] if delete else [])}
        with self._making_one("credentials", caller, self._ledger.count_credentials(caller), _MOST_CREDENTIALS):
            pair = await self.keys.issue(name, wanted, actions, may)
        place = {"endpoint": self.endpoint, "region": self.server.settings.region}
        keys = {"access_key": pair.access_key, "secret_key": pair.secret_key}
        return {**keys, **place, "bucket": bucket, "prefix": wanted.prefix}

    async def revoke_credentials(self, caller: str, access_key: str) -> dict[str, Any]:
        """They are refused once this returns. A caller that may revoke them may do so again."""
        issued = self._ledger.credential(access_key)
        if issued is None or issued.secret:
            raise NotFound(f"the credentials {access_key[:40]!r} do not exist")
        bucket = self._known(issued.bucket)
        if issued.issuer != caller:
            may_administer(caller, bucket.name, bucket.owner)
        await self.keys.end(access_key=access_key)
        return {}

    # What only core asks for

    async def waiting(self) -> dict[str, Any]:
        """The number of objects of which their bucket's webhook does not know yet."""
        counted = self._ledger.count_waiting()
        return {"buckets": [{"bucket": b.name, "owner": b.owner, "objects": count} for b, count in counted]}

    async def forget_caller(self, caller: str) -> dict[str, Any]:
        """Delete the buckets of this app or person, with all objects. The bucket leaves the ledger last, so that this
        can be repeated after a kill."""
        for bucket in self._ledger.buckets():
            if bucket.owner == caller:
                await self._ready()
                await self.keys.end(bucket=bucket.name)
                await self._s3.delete_bucket(bucket.name)
                await self._flusher.durable()
                self._ledger.remove_bucket(bucket.name)
                await self.keys.end(bucket=bucket.name)  # from calls in progress
        await self._flusher.durable()
        return {}

    # Shared parts

    def _known(self, name: str) -> Bucket:
        if bucket := self._ledger.bucket(check_bucket(name)):
            return bucket
        raise NotFound(f"there is no bucket {name}: make it with create-bucket")

    def _administered(self, caller: str, name: str) -> Bucket:
        bucket = self._known(name)
        may_administer(caller, name, bucket.owner)
        return bucket

    async def _ready(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.server.ready.wait()
                return
        raise Unavailable("SeaweedFS is starting again: try again in a moment")

    def _have(self, filer: Filer) -> None:
        self._connected.set_result(filer)

    @property
    def _connected(self) -> asyncio.Future[Filer]:
        if self._filer is None:
            self._filer = asyncio.get_running_loop().create_future()
        return self._filer

    async def _connection(self) -> Filer:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(self._connected)
        except TimeoutError:
            raise Unavailable("SeaweedFS is starting again: try again in a moment") from None

    async def _identities(self) -> Identities:
        return Identities(await self._connection(), self.server.secrets.filer_write)


@asynccontextmanager
async def open_store(settings: Settings, send: Send, ask: Ask) -> AsyncIterator[Store]:
    """`ask`: the callers and their actions now; weed starts only after that answer, so it never serves a key that has
    ended."""
    async with open_server(settings) as server:
        with Ledger(server.folder.ledger) as ledger:
            store = Store(server, ledger, send, ask)
            server.ended = lambda: [key.user for key in ledger.ended()]
            await store.keys.recall()
            await server.start()
            async with store.open_gate():
                yield store


def _told(o: Created) -> dict[str, Any]:
    return {"key": o.key, "size": o.size, "etag": o.etag, "modified": utc(o.modified)}


def _first(group: BaseExceptionGroup) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
