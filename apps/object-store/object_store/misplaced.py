"""Small bodies under a key that ends in a slash: weed stores them in the entry of the folder of that name, where
nothing reads them.

From a larger body it makes the object `folder/folder`, so a small one becomes that too, unless another object exists
there.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Any

from object_store.metadata import Created, listed, misplaced
from object_store.s3 import S3
from object_store.weed.filer import Filer
from pcloud.errors import Unavailable

__all__ = ["put_right"]

_FOLDER = "httpd/unix-directory"
log = logging.getLogger("object_store.misplaced")


async def put_right(filer: Filer, s3: S3, folder: str, entry: Any) -> None:
    """Does nothing for any other entry. If it fails, the next walk retries it; nothing else waits for it."""
    meant = misplaced(folder, entry)
    if meant is None:
        return
    try:
        await _put_right(filer, s3, folder, entry, meant)
    except Unavailable as error:
        log.warning("what was put to %s/%s/ can't be read yet: %s", meant.bucket, entry.name, error)


async def _put_right(filer: Filer, s3: S3, folder: str, entry: Any, meant: Created) -> None:
    """If killed between the two steps, it repeats the first one."""
    there = await _there(filer, f"{folder}/{entry.name}", entry.name)
    if there is not None and there.etag != meant.etag:
        log.warning("what was put to %s/%s/ can't be read: %s is another object", meant.bucket, entry.name, meant.key)
        return
    mime = entry.attributes.mime
    await s3.put(meant.bucket, meant.key, entry.content, "" if mime == _FOLDER else mime)
    emptied = type(entry)()
    emptied.CopyFrom(entry)
    emptied.content = b""
    await filer.call("filer_pb.SeaweedFiler/UpdateEntry", directory=folder, entry=emptied)


async def _there(filer: Filer, folder: str, name: str) -> Created | None:
    async with aclosing(filer.entries(folder, name)) as entries:
        async for entry in entries:
            return listed(folder, entry) if entry.name == name else None
    return None
