"""Where backups are stored: a folder, or a bucket of an S3 service.

    /mnt/disk/cloud              a folder
    s3://HOST[:PORT]/BUCKET/…    over https
    s3+http://HOST…              without encryption on the way, in one's own network

The keys for S3 come from the environment or a file, never from the address, which others can see.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from pcloud.errors import Rejected

__all__ = ["KEY_NAMES", "NEEDED", "BackupPlace", "parse_place", "read_keys"]

KEY_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
NEEDED = KEY_NAMES[:2]
SCHEMES = {"s3": "https", "s3+http": "http"}
EXAMPLE = "write s3://HOST/BUCKET or s3://HOST/BUCKET/PATH"


class BackupPlace(NamedTuple):
    """`name`: as people write it. `repository`: as restic does. `bucket`: '' for a folder."""

    name: str
    repository: str
    bucket: str = ""
    host: str = ""


def parse_place(text: str, *, plain_http: bool = False) -> BackupPlace:
    """`plain_http`: http is allowed to any host. Raises `Rejected`."""
    if "://" not in text:
        folder = str(Path(text).expanduser().absolute())  # restic runs in another folder
        return BackupPlace(folder, folder)
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError as error:
        raise Rejected(f"the address of the backups can't be read: {error}; {EXAMPLE}") from error
    if (transport := SCHEMES.get(url.scheme)) is None:
        raise Rejected(f"backups can't be stored at {url.scheme}://…: name a folder, or {EXAMPLE}")
    if url.username or url.password or url.query or url.fragment:
        raise Rejected(
            f"the address of the backups may hold no keys and no parameters, because others can see it: {EXAMPLE}, and "
            f"set {' and '.join(NEEDED)}, or name a file with --s3-keys"
        )
    bucket, _, path = url.path.strip("/").partition("/")
    if not host or not bucket:
        raise Rejected(f"the address of the backups names no {'bucket' if host else 'host'}: {EXAMPLE}")
    if transport == "http" and not plain_http and not _is_near(host):
        raise Rejected(
            f"backups would go to {host} without encryption on the way: use s3://, or add --plain-http if that is meant"
        )
    return _at(url, transport, bucket, path.strip("/"))


def _at(url: SplitResult, transport: str, bucket: str, path: str) -> BackupPlace:
    where = "/".join(part for part in (url.netloc, bucket, path) if part)
    return BackupPlace(f"{url.scheme}://{where}", f"s3:{transport}://{where}", bucket, url.netloc)


def _is_near(host: str) -> bool:
    """True for this machine and for private addresses. A name counts only if it can't be another machine's."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_link_local


def read_keys(place: BackupPlace, file: Path | None) -> Mapping[str, str]:
    """The variables for restic, from `file` (lines such as `AWS_ACCESS_KEY_ID=…`) or the environment; nothing for a folder.
    Raises `Rejected` if they are missing."""
    if not place.bucket:
        return {}
    found = _in_file(file) if file is not None else os.environ
    if missing := [name for name in NEEDED if not found.get(name)]:
        where = f"the file {file} does not have" if file is not None else "the environment does not have"
        raise Rejected(
            f"{where} {' and '.join(missing)}, the keys to {place.host}: set them, or name a file with --s3-keys"
        )
    return {name: found[name] for name in KEY_NAMES if found.get(name)}


def _in_file(file: Path) -> Mapping[str, str]:
    """Also in the form of AWS's own programs."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"the keys to the backups can't be read from {file}: {error}") from error
    pairs = (line.partition("=") for line in lines)
    return {
        name.strip().removeprefix("export ").strip().upper(): value.strip().strip("\"'") for name, _, value in pairs
    }
