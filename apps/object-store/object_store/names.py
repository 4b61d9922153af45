"""The grammar of buckets, keys and prefixes, and the limits of other arguments. Pure: nothing here checks whether they
exist."""

from __future__ import annotations

import re

from pcloud.errors import Rejected

__all__ = [
    "PROBE", "addressable", "bounded", "check_address", "check_bucket", "check_key", "check_label", "check_prefix",
]  # fmt: skip

# The S3 rules without dots: dots break TLS for bucket names in host names.
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# A prefix is used in a policy, where * ? and ${} have a meaning of their own.
_PREFIX = re.compile(r"[A-Za-z0-9_.@=+,/ -]{1,512}")
_RESERVED = ("xn--", "sthree-")
# The store's own bucket: S3 allows a dot in a name, `check_bucket` does not, so no caller can have it or see it.
PROBE = "pcloud.probe"


def check_bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name) or name.startswith(_RESERVED) or name.endswith(("-s3alias", "--ol-s3")):
        raise Rejected(
            f"{name[:80]!r} can't be a bucket's name: it takes 3 to 63 of a-z, 0-9 and hyphens, neither first nor last a hyphen"
        )
    return name


def check_key(key: str) -> str:
    """A key that the store can hold. Keys in its own folders, and those that it or clients would normalise, are
    refused."""
    parts = key.split("/")
    wrong = (
        "it is empty" if not key
        else "it is longer than 1024 bytes" if len(key.encode("utf-8", "surrogatepass")) > 1024
        else "it holds a NUL or a backslash, which weed takes for a slash" if "\0" in key or "\\" in key
        else "it holds half a surrogate pair" if any(0xD800 <= ord(c) <= 0xDFFF for c in key)
        else "a part of it is longer than 255 bytes" if any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts)
        else "it has an empty part or one that is . or .." if any(part in ("", ".", "..") for part in parts)
        else ".uploads belongs to the store" if parts[0] == ".uploads"
        else ""
    )  # fmt: skip
    if wrong:
        raise Rejected(f"{key[:80]!r} can't be an object's key: {wrong}")
    return key


def addressable(key: str) -> bool:
    """Return True if an address can work: SeaweedFS 4.48 refuses a key with a line feed to each key pair bound to a
    bucket."""
    return "\n" not in key


def check_address(key: str) -> str:
    """Raises `Rejected` for a key for which no address can work."""
    if not addressable(check_key(key)):
        raise Rejected(
            f"{key[:80]!r} contains a line feed, and the object store can't make an address for such a key: use another key"
        )
    return key


def check_prefix(prefix: str) -> str:
    """A folder inside a bucket, always ending in /; '' is the whole bucket."""
    if not prefix:
        return ""
    folder = prefix if prefix.endswith("/") else prefix + "/"
    if not _PREFIX.fullmatch(folder):
        raise Rejected(
            f"{prefix[:80]!r} can't be a prefix of credentials: it takes letters, digits, spaces and _ . @ = + , - /"
        )
    check_key(folder[:-1])
    return folder


def check_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise Rejected(f"{name[:80]!r} can't be a name of credentials: it takes 1 to 64 letters, digits and _ . -")
    return name


def bounded(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise Rejected(f"{name} is {value}: it must be from {low} to {high}")
    return value
